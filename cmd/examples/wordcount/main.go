package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
	"github.com/millstream-io/millstream/cmd/examples/texts"
)

func main() { stage.Main("wordcount", run) }

// run is the whole program: the book in, the ten most frequent words out.
func run(ctx context.Context, out io.Writer) error {
	topo, err := WordCount()
	if err != nil {
		return err
	}
	sent := 0 // words
	feed := func(ctx context.Context, c *client.Client) error {
		return stage.SendAll(ctx, c, Lines, func(yield func(string, string) bool) {
			for line := range texts.Sherlock() {
				for range words(line) {
					sent++
				}
				if !yield("", line) {
					return
				}
			}
		})
	}
	show := func(ctx context.Context, c *client.Client) error {
		updates, err := stage.Read(ctx, c, Counts, sent) // one for each word
		if err != nil {
			return err
		}
		table := map[string]int64{}
		for _, u := range updates {
			table[u.Key] = u.Value
		}
		most := slices.SortedFunc(maps.Keys(table), func(a, b string) int {
			return cmp.Or(cmp.Compare(table[b], table[a]), cmp.Compare(a, b))
		})
		fmt.Fprintf(out, "%s: %d words, %d different ones\n", texts.SherlockTitle, sent, len(table))
		for _, w := range most[:10] {
			fmt.Fprintf(out, "%6d %s\n", table[w], w)
		}
		return nil
	}
	return stage.Run(ctx, topo, 4, feed, show)
}
