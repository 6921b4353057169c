package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: a log that has lost durable writes is noticed at start; what is there is served, and written to only
// when the loss is accepted. Method: put an older copy of the class's bucket back, as a bad
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
	m := start(t, cluster.Config{DataDir: dir, AutoCreateTopics: true, HTTP: ":0"})
	if got := readAll(t, m, "lines", 50); len(got) != 50 {
		t.Fatalf("%d records can be read of 50", len(got))
	}
	_, err = m.Client().Produce(ctx, client.Record{Topic: "lines", Value: []byte("v")})
	for _, word := range []string{"lines/0 takes no writes", "class long lost groups", "millstream doctor"} {
		if !errors.Is(err, fault.PolicyViolation) || !strings.Contains(err.Error(), word) {
			t.Errorf("a write to a log that lost its end: %v, want %q", err, word)
		}
	}
	if d := m.Damage(); len(d.Lost) != 1 || d.Lost[0].Class != "long" || len(d.ReadOnly) != 1 || d.ReadOnly[0].Topic != "lines" {
		t.Errorf("damage is told as %+v", d)
	}
	for path, words := range map[string][]string{
		"/readyz": {"lines/0 takes no writes", "class long"}, "/healthz": {"ok\n", "note: class long lost"},
		"/metrics": {`millstream_engine_lost{class="long"} 1`},
	} {
		if text := get(t, m, path); !containsAll(text, words...) {
			t.Errorf("%s says %q, want %q", path, text, words)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = start(t, cluster.Config{DataDir: dir, AcceptLoss: true})
	if got := readAll(t, m, "lines", 50); len(got) != 50 {
		t.Fatalf("%d records are left of 50", len(got))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	write(100, 101)
}

func get(t *testing.T, m *cluster.Member, path string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + m.HTTPAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func containsAll(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// Goal: without its metadata a member does not guess what it has: it refuses to start, and says why and what
// to do. Method: take the newest groups of the metadata log away.
func TestLostMetadata(t *testing.T) {
	dir := t.TempDir()
	ctx := testContext(t)
	m := start(t, cluster.Config{DataDir: dir})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	buckets, err := filepath.Glob(filepath.Join(dir, "log", "meta", "0*"))
	if err != nil || len(buckets) != 1 {
		t.Fatalf("buckets %v: %v", buckets, err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(buckets[0])); err != nil {
		t.Fatal(err)
	}
	m = start(t, cluster.Config{DataDir: dir})
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "late"}); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(buckets[0]), os.CopyFS(buckets[0], os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	_, err = cluster.Start(ctx, cluster.Config{DataDir: dir})
	if err == nil || !containsAll(err.Error(), "metadata log", "class meta lost groups", "AcceptLoss", "which topics") {
		t.Fatalf("a start without metadata: %v", err)
	}
	m = start(t, cluster.Config{DataDir: dir, AcceptLoss: true})
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "later"}); err != nil {
		t.Error(err)
	}
}
