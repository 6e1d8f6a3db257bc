package encode

import (
	"encoding/binary"
	"math"
	"time"
)

// civil is a date and time without a zone.
type civil struct {
	year, month, day     int
	hour, minute, second int
	micro                int
}

// packed returns TiDB's 64-bit form, whose unsigned order is the order of time.
func (t *civil) packed() uint64 {
	ymd := uint64((t.year*13+t.month)<<5 | t.day)
	hms := uint64(t.hour<<12 | t.minute<<6 | t.second)
	return (ymd<<17|hms)<<24 | uint64(t.micro)
}

// two reads two digits; the result is above 99 when they aren't digits.
func two(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return 100
	}
	return int(hi)*10 + int(lo)
}

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysIn(year, month int) int {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return monthDays[month]
}

// parseDateBytes reads YYYY-MM-DD of an existing day from the year 1 on. Zero
// and impossible dates depend on the SQL mode and are left to the general path.
func parseDateBytes(b []byte, t *civil) bool {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return false
	}
	century, year, month, day := two(b), two(b[2:]), two(b[5:]), two(b[8:])
	if century > 99 || year > 99 || month < 1 || month > 12 || day < 1 {
		return false
	}
	t.year, t.month, t.day = century*100+year, month, day
	return t.year > 0 && day <= daysIn(t.year, month)
}

// parseClock reads MM:SS[.digits] with at most fsp digits into t.
func parseClock(b []byte, fsp int, t *civil) bool {
	if len(b) < 5 || b[2] != ':' {
		return false
	}
	t.minute, t.second, t.micro = two(b), two(b[3:]), 0
	if t.minute > 59 || t.second > 59 {
		return false
	}
	return len(b) == 5 || (b[5] == '.' && parseMicro(b[6:], fsp, t))
}

func parseMicro(digits []byte, fsp int, t *civil) bool {
	if len(digits) == 0 || len(digits) > fsp || len(digits) > 6 {
		return false
	}
	u, ok := parseDigits(digits)
	t.micro = int(u * powersOf10[6-len(digits)])
	return ok
}

// parseCivil reads YYYY-MM-DD, alone or with [ T]HH:MM:SS[.digits].
func parseCivil(b []byte, fsp int, t *civil) bool {
	if len(b) < 19 {
		t.hour, t.minute, t.second, t.micro = 0, 0, 0, 0
		return len(b) == 10 && parseDateBytes(b, t)
	}
	const (
		dashes, dashesMask = uint64('-')<<32 | '-'<<56, uint64(0xFF)<<32 | 0xFF<<56
		marks, marksMask   = uint64(' ')<<16 | ':'<<40, uint64(0xFF)<<16 | 0xFF<<40
	)
	x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]) // YYYY-MM- and DD HH:MM
	if b[10] == 'T' {
		y ^= ('T' ^ ' ') << 16
	}
	if x&dashesMask != dashes || y&marksMask != marks || b[16] != ':' {
		return false
	}
	x, y = x&^dashesMask|zeroChars&dashesMask, y&^marksMask|zeroChars&marksMask
	if !allDigits(x) || !allDigits(y) {
		return false
	}
	x, y = pairs(x), pairs(y)
	t.year = int(x&0xFF)*100 + int(x>>16&0xFF)
	t.month, t.day = int(x>>40&0xFF), int(y&0xFF)
	t.hour, t.minute, t.second, t.micro = int(y>>24&0xFF), int(y>>48&0xFF), two(b[17:]), 0
	if t.month < 1 || t.month > 12 || t.day < 1 || t.year < 1 || t.hour > 23 || t.minute > 59 || t.second > 59 {
		return false
	}
	if t.day > 28 && t.day > daysIn(t.year, t.month) {
		return false
	}
	return len(b) == 19 || (b[19] == '.' && parseMicro(b[20:], fsp, t))
}

func parseDate(_ *Encoder, _ *column, field []byte, c *cell) bool {
	var t civil
	if !parseCivil(field, 0, &t) {
		return false
	}
	t.hour, t.minute, t.second = 0, 0, 0
	c.u = t.packed()
	return true
}

func parseDatetime(_ *Encoder, col *column, field []byte, c *cell) bool {
	var t civil
	if !parseCivil(field, col.fsp, &t) {
		return false
	}
	c.u = t.packed()
	return true
}

// parseTimestamp takes times in the session's zone that are far enough from
// both ends of the type and from changes of the zone's offset for nothing
// special to happen.
func parseTimestamp(e *Encoder, col *column, field []byte, c *cell) bool {
	var t civil
	if !parseCivil(field, col.fsp, &t) {
		return false
	}
	ok := e.zone.toUTC(&t)
	c.u = t.packed()
	return ok
}

const (
	secondsPerDay = 86400
	// zoneMargin keeps clear of offset changes: offsets differ by less than 26 hours.
	zoneMargin = 2 * secondsPerDay
	// Bounds of TIMESTAMP in Unix seconds, kept clear of for the same reason.
	minTimestamp = 1 + zoneMargin
	maxTimestamp = math.MaxInt32 - zoneMargin
)

// zone converts local time to UTC and remembers the stretch of constant
// offset that the last time fell into. It belongs to one encoder.
type zone struct {
	loc        *time.Location
	start, end int64 // Unix seconds between which offset is certain
	offset     int64 // seconds east of UTC
}

// toUTC changes t, read in the zone, to UTC. It reports false when the zone's
// offset may change near t, or t is near the ends of TIMESTAMP.
func (z *zone) toUTC(t *civil) bool {
	days := daysFromCivil(t.year, t.month, t.day)
	local := days*secondsPerDay + int64(t.hour*3600+t.minute*60+t.second)
	utc := local - z.offset
	if utc < z.start || utc >= z.end {
		z.load(local)
		if utc = local - z.offset; utc < z.start || utc >= z.end {
			return false
		}
	}
	if utc < minTimestamp || utc > maxTimestamp {
		return false
	}
	if z.offset == 0 {
		return true
	}
	days = floorDiv(utc, secondsPerDay)
	rest := int(utc - days*secondsPerDay)
	t.year, t.month, t.day = civilFromDays(days)
	t.hour, t.minute, t.second = rest/3600, rest/60%60, rest%60
	return true
}

// load finds the stretch around a local time.
func (z *zone) load(local int64) {
	at := time.Unix(local, 0).In(z.loc)
	_, offset := at.Zone()
	z.offset = int64(offset)
	z.start, z.end = math.MinInt64, math.MaxInt64
	start, end := at.ZoneBounds()
	if !start.IsZero() {
		z.start = start.Unix() + zoneMargin
	}
	if !end.IsZero() {
		z.end = end.Unix() - zoneMargin
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// daysFromCivil counts days since 1970-01-01 in the proleptic Gregorian
// calendar. Years begin in March, so that the leap day is the last of a year,
// and are counted in eras of 400 years = 146097 days.
func daysFromCivil(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era)*146097 + int64(dayOfEra) - 719468
}

// civilFromDays is the inverse of daysFromCivil for days from the year 1 on.
func civilFromDays(days int64) (year, month, day int) {
	days += 719468
	era := days / 146097
	dayOfEra := int(days - era*146097)
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	month, year = shifted+3, int(era)*400+yearOfEra
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// maxHours is the greatest hour of TIME.
const maxHours = 838

// parseDuration takes [-]HH:MM:SS[.digits] with two or three digits of hours.
func parseDuration(_ *Encoder, col *column, field []byte, c *cell) bool {
	negative := len(field) > 0 && field[0] == '-'
	if negative {
		field = field[1:]
	}
	colon := 2
	if len(field) > 3 && field[2] != ':' {
		colon = 3
	}
	if len(field) < colon+1 || field[colon] != ':' {
		return false
	}
	hours, ok := parseDigits(field[:colon])
	var t civil
	if !ok || hours > maxHours || !parseClock(field[colon+1:], col.fsp, &t) {
		return false
	}
	if hours == maxHours && t.minute == 59 && t.second == 59 && t.micro > 0 {
		return false
	}
	seconds := int64(hours)*3600 + int64(t.minute*60+t.second)
	ns := seconds*int64(time.Second) + int64(t.micro)*int64(time.Microsecond)
	if negative {
		ns = -ns
	}
	c.u = uint64(ns)
	return true
}
