package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
)

// Goal: a log that has lost durable writes is noticed at start, and given up only when that is asked for;
// what is there is then served and written to. Method: put an older copy of the class's bucket back, as a bad
// restore would.
func TestLossIsNoticed(t *testing.T) {
	dir := t.TempDir()
	ctx := testContext(t)
	write := func(from, to int) {
		m := start(t, cluster.Config{DataDir: dir, AutoCreateTopics: true})
		for i := from; i < to; i++ {
			r := client.Record{Topic: "lines", Key: fmt.Appendf(nil, "k%d", i), Value: []byte("v")}
			if _, err := m.Client().Produce(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 50)
	buckets, err := filepath.Glob(filepath.Join(dir, "log", "long", "0*"))
	if err != nil || len(buckets) != 1 {
		t.Fatalf("buckets %v: %v", buckets, err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(buckets[0])); err != nil {
		t.Fatal(err)
	}
	write(50, 100)
	if err := os.RemoveAll(buckets[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(buckets[0], os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	_, err = cluster.Start(ctx, cluster.Config{DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), "class long lost groups") || !strings.Contains(err.Error(), "AcceptLoss") {
		t.Fatalf("a log that lost its end: %v", err)
	}
	m := start(t, cluster.Config{DataDir: dir, AcceptLoss: true})
	if got := readAll(t, m, "lines", 50); len(got) != 50 {
		t.Fatalf("%d records are left of 50", len(got))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	write(100, 101)
}
