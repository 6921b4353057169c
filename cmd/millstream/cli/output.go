package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	urfave "github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// listing is a result that can be shown in every form of --output. value is what JSON and YAML show; its keys
// are stable.
type listing struct {
	columns []string
	rows    [][]string
	names   []string
	value   any
}

func outputFlag() urfave.Flag {
	return &urfave.StringFlag{
		Name: "output", Value: "table", Usage: "`FORM` of the result: table, json, yaml or name",
	}
}

func checkOutput(form string) error {
	switch form {
	case "table", "json", "yaml", "name":
		return nil
	}
	return usage("unknown form %q for --output", form).hint("table, json, yaml or name")
}

// show writes a listing in one of the forms. Tables are drawn on a terminal and plain columns elsewhere.
func (s *shell) show(form string, l listing) error {
	switch form {
	case "json":
		e := json.NewEncoder(s.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(l.value)
	case "yaml":
		b, err := yaml.MarshalWithOptions(l.value, yaml.UseJSONMarshaler())
		if err != nil {
			return fmt.Errorf("write yaml: %w", err)
		}
		_, err = s.Stdout.Write(b)
		return err
	case "name":
		for _, n := range l.names {
			fmt.Fprintln(s.Stdout, n)
		}
		return nil
	}
	if isTerminal(s.Stdout) {
		return drawTable(s.Stdout, l)
	}
	return plainColumns(s.Stdout, l)
}

func drawTable(w io.Writer, l listing) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.AppendHeader(tableRow(l.columns))
	for _, r := range l.rows {
		t.AppendRow(tableRow(r))
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func tableRow(cells []string) table.Row {
	out := make(table.Row, len(cells))
	for i, c := range cells {
		out[i] = c
	}
	return out
}

// plainColumns writes a header and rows, parted by tabs: what cut and awk like.
func plainColumns(w io.Writer, l listing) error {
	var b strings.Builder
	b.WriteString(strings.ToUpper(strings.Join(l.columns, "\t")) + "\n")
	for _, r := range l.rows {
		b.WriteString(strings.Join(r, "\t") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// isTerminal reports whether a stream is a terminal, or a test says so.
func isTerminal(stream any) bool {
	if t, ok := stream.(interface{ IsTerminal() bool }); ok {
		return t.IsTerminal()
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// count says "1 record", "2 records".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
