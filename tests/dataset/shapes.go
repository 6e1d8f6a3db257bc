package dataset

import (
	"io"
	"strconv"
	"time"
)

func narrowSchema(table string) string {
	return "CREATE TABLE " + table + ` (
  id BIGINT NOT NULL,
  device INT NOT NULL,
  reading DECIMAL(10,3) NOT NULL,
  PRIMARY KEY (id) CLUSTERED
)`
}

func writeNarrow(w io.Writer, rows int, seed uint64) error {
	r := rng(seed)
	ids := newPermutation(uint64(max(rows, 0)), r.next())
	return writeRows(w, rows, func(out []byte, i uint64) []byte {
		out = strconv.AppendUint(out, ids.at(i)+1, 10)
		out = append(out, ',')
		out = strconv.AppendUint(out, 100_000+r.below(900_000), 10)
		out = append(out, ',')
		out = appendScaled(out, int64(r.below(9_999_999_999)), 3)
		return append(out, '\n')
	})
}

func index8Schema(table string) string {
	return "CREATE TABLE " + table + ` (
  id BIGINT NOT NULL,
  code VARCHAR(32) NOT NULL,
  customer INT NOT NULL,
  state TINYINT NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  created_at DATETIME NOT NULL,
  city VARCHAR(40) NOT NULL,
  note VARCHAR(200) NOT NULL,
  PRIMARY KEY (id) CLUSTERED,
  UNIQUE KEY uk_code (code),
  KEY idx_customer (customer, created_at),
  KEY idx_state (state, customer),
  KEY idx_amount (amount),
  KEY idx_created (created_at),
  KEY idx_city (city, state),
  KEY idx_city_amount (city, amount, customer),
  KEY idx_note (note(16))
) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
}

var cities = []string{
	"Amsterdam", "Bengaluru", "Chicago", "Düsseldorf", "Edinburgh", "Fukuoka", "Göteborg", "Hangzhou", "İzmir",
	"Jakarta", "Kraków", "Lima", "México", "Nairobi", "Osaka", "São Paulo", "Tromsø", "北京",
}

func writeIndex8(w io.Writer, rows int, seed uint64) error {
	r := rng(seed)
	ids := newPermutation(uint64(max(rows, 0)), r.next())
	codes := newPermutation(codeSpace, r.next())
	pool := textPool(&r)
	return writeRows(w, rows, func(out []byte, i uint64) []byte {
		out = strconv.AppendUint(out, ids.at(i)+1, 10)
		out = append(out, ',')
		out = appendCode(out, codes.at(i))
		out = append(out, ',')
		out = strconv.AppendUint(out, r.below(200_000), 10)
		out = append(out, ',')
		out = strconv.AppendUint(out, r.below(8), 10)
		out = append(out, ',')
		out = appendCents(out, int64(r.below(2*maxCents+1))-maxCents)
		out = append(out, ',')
		out = appendTime(out, randomSecond(&r))
		out = append(out, ',')
		out = append(out, cities[r.below(uint64(len(cities)))]...)
		out = append(out, ',')
		out = appendQuoted(out, cutText(pool, &r, 20, 80))
		return append(out, '\n')
	})
}

func longSchema(table string) string {
	return "CREATE TABLE " + table + ` (
  id BIGINT NOT NULL,
  title VARCHAR(500) NOT NULL,
  body MEDIUMTEXT NOT NULL,
  PRIMARY KEY (id) CLUSTERED
) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
}

func writeLong(w io.Writer, rows int, seed uint64) error {
	r := rng(seed)
	ids := newPermutation(uint64(max(rows, 0)), r.next())
	pool := textPool(&r)
	return writeRows(w, rows, func(out []byte, i uint64) []byte {
		out = strconv.AppendUint(out, ids.at(i)+1, 10)
		out = append(out, ',')
		out = appendQuoted(out, cutText(pool, &r, 60, 400))
		out = append(out, ',')
		out = appendQuoted(out, cutText(pool, &r, 2<<10, 30<<10))
		return append(out, '\n')
	})
}

func randomSecond(r *rng) time.Time {
	return firstSecond.Add(time.Duration(r.below(spanSeconds)) * time.Second)
}

// appendScaled writes n / 10^scale with all its decimals; scale is at least 1.
func appendScaled(b []byte, n int64, scale int) []byte {
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	unit := int64(1)
	for range scale {
		unit *= 10
	}
	b = strconv.AppendInt(b, n/unit, 10)
	b = append(b, '.')
	for rest := n % unit; unit > 1; rest %= unit {
		unit /= 10
		b = append(b, byte('0'+rest/unit))
	}
	return b
}
