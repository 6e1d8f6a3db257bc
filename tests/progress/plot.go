package main

import (
	"bytes"
	"fmt"
	"time"
)

// Sizes of the plot, in pixels.
const (
	panelWidth, panelHeight = 720, 190
	marginLeft, marginTop   = 46, 30
	panelGap                = 46
)

// plot draws each job: percent, and the expected time in all, as parts of what it took.
func plot(runs []*watched) []byte {
	var b bytes.Buffer
	height := marginTop + len(runs)*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		marginLeft+panelWidth+60, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, w := range runs {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", marginLeft, marginTop+i*(panelHeight+panelGap))
		w.draw(&b)
		fmt.Fprintf(&b, "</g>\n")
	}
	fmt.Fprintf(&b, "</svg>\n")
	return b.Bytes()
}

func (w *watched) draw(b *bytes.Buffer) {
	real := w.active(w.end).Seconds()
	x := func(at time.Duration) float64 { return at.Seconds() / w.end.Seconds() * panelWidth }
	percent := func(p float64) float64 { return panelHeight - p/100*panelHeight }
	// The right axis has the expected total, 0 to 2 times the real one.
	total := func(seconds float64) float64 { return panelHeight - min(seconds/real, 2)/2*panelHeight }
	fmt.Fprintf(b, `<text x="0" y="-8" font-weight="bold">%s</text>`+"\n", w.name)
	fmt.Fprintf(b, `<rect x="0" y="%.1f" width="%d" height="%.1f" fill="#e8f0e8"/>`+"\n", total(1.2*real), panelWidth, total(0.8*real)-total(1.2*real))
	if w.idle[0] > 0 {
		fmt.Fprintf(b, `<rect x="%.1f" y="0" width="%.1f" height="%d" fill="#ddd"/>`+"\n", x(w.idle[0]), x(w.idle[1])-x(w.idle[0]), panelHeight)
	}
	fmt.Fprintf(b, `<rect x="0" y="0" width="%d" height="%d" fill="none" stroke="#888"/>`+"\n", panelWidth, panelHeight)
	for _, p := range []float64{0, 50, 100} {
		fmt.Fprintf(b, `<text x="-6" y="%.1f" text-anchor="end" fill="#1f5fa8">%.0f %%</text>`+"\n", percent(p)+4, p)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="#b0481e">%.0f s</text>`+"\n", panelWidth+6, total(p/50*real)+4, p/50*real)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%.0f s</text>`+"\n", panelWidth, panelHeight+15, w.end.Seconds())
	w.drawSteps(b, x)
	w.line(b, "#1f5fa8", func(s *sample) (float64, float64, bool) { return x(s.at), percent(float64(s.percent)), true })
	w.line(b, "#b0481e", func(s *sample) (float64, float64, bool) {
		return x(s.at), total(w.total(s).Seconds()), s.left > 0 && s.status == "running"
	})
}

// drawSteps names the steps below the axis.
func (w *watched) drawSteps(b *bytes.Buffer, x func(time.Duration) float64) {
	step, last := "", -100.0
	for i := range w.samples {
		s := &w.samples[i]
		if s.step == step || s.step == "" || s.step == "prepare" {
			continue
		}
		step = s.step
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#888"/>`+"\n", x(s.at), panelHeight, x(s.at), panelHeight+5)
		if x(s.at)-last > 48 && x(s.at) < panelWidth-80 {
			last = x(s.at)
			fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", last+2, panelHeight+15, step)
		}
	}
}

// line draws what of gives for the samples, with holes where that is nothing.
func (w *watched) line(b *bytes.Buffer, color string, of func(s *sample) (x, y float64, ok bool)) {
	verb := "M"
	fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="1.8" d="`, color)
	for i := range w.samples {
		x, y, ok := of(&w.samples[i])
		if !ok {
			verb = "M"
			continue
		}
		fmt.Fprintf(b, "%s%.1f %.1f", verb, x, y)
		verb = "L"
	}
	fmt.Fprintf(b, `"/>`+"\n")
}
