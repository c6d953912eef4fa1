package report

import (
	"bytes"
	"encoding/csv"
	"strings"
	"unicode/utf8"
)

// String sets the table as text, for a terminal.
func (t *Table) String() string {
	width := make([]int, len(t.Head))
	for i, h := range t.Head {
		width[i] = utf8.RuneCountInString(trim(h))
	}
	for _, r := range t.Rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	row := func(cells []string) {
		for i, c := range cells {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i > 0 {
				b.WriteString("  ")
			}
			switch {
			case !t.text(i):
				b.WriteString(pad + c)
			case i == len(cells)-1:
				b.WriteString(c)
			default:
				b.WriteString(c + pad)
			}
		}
		b.WriteByte('\n')
	}
	heads := make([]string, len(t.Head))
	for i, h := range t.Head {
		heads[i] = trim(h)
	}
	row(heads)
	for _, r := range t.Rows {
		row(r)
	}
	return b.String()
}

// Markdown sets the table as Markdown does.
func (t *Table) Markdown() string {
	var b strings.Builder
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", "\\|") + " ")
		}
		b.WriteString("|\n")
	}
	heads, rule := make([]string, len(t.Head)), make([]string, len(t.Head))
	for i, h := range t.Head {
		heads[i], rule[i] = trim(h), "--:"
		if t.text(i) {
			rule[i] = "---"
		}
	}
	row(heads)
	row(rule)
	for _, r := range t.Rows {
		row(r)
	}
	return b.String()
}

// CSV sets the table as comma-separated values with a line of heads.
func (t *Table) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	heads := make([]string, len(t.Head))
	for i, h := range t.Head {
		heads[i] = trim(h)
	}
	w.Write(heads)
	w.WriteAll(t.Rows) // a buffer takes everything
	return b.Bytes()
}
