package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
)

// directory makes the directory of a member that has stopped, with the values in topic "lines", each of which is
// an entry of its own.
func directory(t *testing.T, dir string, values ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := cluster.Start(ctx, cluster.Config{DataDir: dir, AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, v := range values {
		if _, err := m.Client().Produce(ctx, client.Record{Topic: "lines", Key: []byte(v[:1]), Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
}

// long is a value that does not stand beside its key; no two letters have one byte in common.
func long(letter string) string { return letter + strings.Repeat(strings.ToUpper(letter), 4000) }

// spoil flips one bit of a value in every file of a data directory that holds it.
func spoil(t *testing.T, dir, value string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		at := bytes.Index(b, []byte(value))
		if err != nil || at < 0 {
			return err
		}
		found++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{value[len(value)/2] ^ 8}, int64(at+len(value)/2))
		return errors.Join(err, f.Close())
	})
	if err != nil || found == 0 {
		t.Fatalf("the value is in %d files: %v", found, err)
	}
}

// ofTheData leaves out what the machine decides, and masks what differs from run to run.
func ofTheData(dir, text string) string {
	lines := strings.SplitAfter(text, "\n")
	var kept []string
	skips := false
	for _, line := range lines {
		if !strings.HasPrefix(line, "  ") {
			skips = regexp.MustCompile(`^\w+ +(clock|read-ahead|file system|open files|free space) `).MatchString(line)
		}
		if !skips {
			kept = append(kept, line)
		}
	}
	text = strings.ReplaceAll(strings.Join(kept, ""), dir, "DIR")
	text = regexp.MustCompile(`of cluster \S+`).ReplaceAllString(text, "of cluster …")
	return damageText.ReplaceAllString(text, "${1}…")
}

// Goal: doctor names what is damaged in a directory, with the command that mends it, and says that all is well
// where it is. Method: a directory as it was left, then with one flipped bit.
func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	directory(t, dir, long("a"), long("b"), long("c"), long("d"))
	o := commandLine(t, "", nil, "doctor", "--data", dir)
	if o.code == doctorBad {
		t.Errorf("exit code %d for a whole directory:\n%s", o.code, o.stdout)
	}
	golden(t, "doctor_well.txt", ofTheData(dir, o.stdout))
	spoil(t, dir, long("b"))
	for range 2 { // looking changes nothing
		o = commandLine(t, "", nil, "doctor", "--data", dir).must(t, doctorBad)
		golden(t, "doctor_damage.txt", ofTheData(dir, o.stdout))
	}
	if o.stderr != "" {
		t.Errorf("on standard error: %q", o.stderr)
	}
	o = commandLine(t, "", []string{"MILLSTREAM_DATA=" + dir}, "doctor", "--output", "json").must(t, doctorBad)
	var got struct {
		State  string
		Checks []check
	}
	if err := json.Unmarshal([]byte(o.stdout), &got); err != nil || got.State != checkBad {
		t.Fatalf("state %q: %v\n%s", got.State, err, o.stdout)
	}
	found := slices.ContainsFunc(got.Checks, func(k check) bool {
		return k.State == checkBad && len(k.Damage) == 1 && k.Damage[0].Topic == "lines" && k.Damage[0].From == 1 &&
			k.Damage[0].To == 1
	})
	if !found {
		t.Errorf("the damage is not told: %s", o.stdout)
	}
	golden(t, "doctor_damage.json", dataChecks(t, dir, o.stdout))
}

// dataChecks is ofTheData for JSON. What a damaged range says of itself is masked as in the table.
func dataChecks(t *testing.T, dir, text string) string {
	t.Helper()
	var got struct {
		State  string           `json:"state"`
		Checks []map[string]any `json:"checks"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	got.Checks = slices.DeleteFunc(got.Checks, func(k map[string]any) bool {
		return slices.Contains([]any{"clock", "read-ahead", "file system", "open files", "free space"}, k["check"])
	})
	for _, k := range got.Checks {
		says := strings.ReplaceAll(fmt.Sprint(k["says"]), dir, "DIR")
		says = regexp.MustCompile(`of cluster \S+`).ReplaceAllString(says, "of cluster …")
		k["says"] = damageText.ReplaceAllString(says, "${1}…")
		damage, _ := k["damage"].([]any)
		for _, d := range damage {
			d.(map[string]any)["error"] = "…"
		}
	}
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), dir, "DIR") + "\n"
}

// Goal: a class that lost durable writes is named with the option that gives them up. Method: put an older copy
// of its bucket back.
func TestDoctorLoss(t *testing.T) {
	dir := t.TempDir()
	directory(t, dir, "a")
	buckets, err := filepath.Glob(filepath.Join(dir, "log", "long", "0*"))
	if err != nil || len(buckets) != 1 {
		t.Fatalf("buckets %v: %v", buckets, err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(buckets[0])); err != nil {
		t.Fatal(err)
	}
	directory(t, dir, "b", "c")
	if err := errors.Join(os.RemoveAll(buckets[0]), os.CopyFS(buckets[0], os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o := commandLine(t, "", nil, "doctor", "--data", dir).must(t, doctorBad)
		for _, want := range []string{
			"bad   writes        class long lost durable writes and takes no more: groups ",
			"mend: millstream server --data " + dir + " --storage-accept-loss",
		} {
			if !strings.Contains(o.stdout, want) {
				t.Errorf("%q is not said:\n%s", want, o.stdout)
			}
		}
	}
}

// Goal: where a member runs it is asked, and another one than the directory's is not believed. Method: two
// members, the address of each, and one where nobody is.
func TestDoctorAsksTheMember(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	var dirs, addrs []string
	for range 2 {
		dir := t.TempDir()
		m, err := cluster.Start(t.Context(), cluster.Config{DataDir: dir, HTTP: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		dirs, addrs = append(dirs, dir), append(addrs, m.HTTPAddr())
	}
	o := commandLine(t, "", nil, "doctor", "--data", dirs[0], "--http", addrs[0])
	if o.code == doctorBad || !strings.Contains(o.stdout, "ok    member        answers at "+addrs[0]) ||
		!strings.Contains(o.stdout, "readers have met no damage") {
		t.Errorf("exit code %d:\n%s", o.code, o.stdout)
	}
	o = commandLine(t, "", []string{"MILLSTREAM_HTTP_LISTEN=" + addrs[0]}, "doctor")
	if o.code == doctorBad || !strings.Contains(o.stdout, "ok    ready") {
		t.Errorf("without a directory, exit code %d:\n%s", o.code, o.stdout)
	}
	o = commandLine(t, "", nil, "doctor", "--data", dirs[0], "--http", addrs[1]).must(t, doctorBad)
	if !strings.Contains(o.stdout, "is of cluster") {
		t.Errorf("another member is believed:\n%s", o.stdout)
	}
	o = commandLine(t, "", nil, "doctor", "--data", dirs[0], "--http", "127.0.0.1:1").must(t, doctorBad)
	if !strings.Contains(o.stdout, "no member answers at 127.0.0.1:1") {
		t.Errorf("nobody is believed:\n%s", o.stdout)
	}
	commandLine(t, "", nil, "debug", "dump-log", "--data", dirs[0], "lines").must(t, exitConflict).
		says(t, "while a member uses it", "stop the member")
}

// Goal: what is no data directory, or a damaged one, is told as such. Method: an empty one, one without a
// member file's checksum, one that is not there.
func TestDoctorRefusals(t *testing.T) {
	dir := t.TempDir()
	says := func(want string) {
		t.Helper()
		if o := commandLine(t, "", nil, "doctor", "--data", dir).must(t, doctorBad); !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not said:\n%s", want, o.stdout)
		}
	}
	says("is no data directory")
	directory(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "member"), []byte("nobody"), 0o600); err != nil {
		t.Fatal(err)
	}
	says("member file " + filepath.Join(dir, "member") + " is damaged")
	dir = filepath.Join(dir, "none")
	says("cannot be looked at")
}

// Goal: each finding about the machine is judged at its border. Method: numbers on both sides.
func TestDoctorJudges(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		look func(*examination)
		want string
	}{
		"much read-ahead":   {func(e *examination) { e.readAhead("vda", 513) }, "warn"},
		"little read-ahead": {func(e *examination) { e.readAhead("vda", 512) }, "ok"},
		"no room":           {func(e *examination) { e.space(0) }, "bad"},
		"little room":       {func(e *examination) { e.space(1<<30 - 1) }, "warn"},
		"room":              {func(e *examination) { e.space(1 << 30) }, "ok"},
		"few files":         {func(e *examination) { e.openFiles("it", 1024) }, "warn"},
		"many files":        {func(e *examination) { e.openFiles("it", 4096) }, "ok"},
		"no jump":           {func(e *examination) { e.clockJump() }, ""},
		"old files":         {func(e *examination) { e.futureFiles() }, ""},
		"a file of tomorrow": {func(e *examination) {
			name, tomorrow := filepath.Join(dir, "f"), time.Now().Add(24*time.Hour)
			if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, tomorrow, tomorrow)); err != nil {
				t.Error(err)
			}
			e.futureFiles()
			_ = os.Remove(name)
		}, "warn"},
	} {
		e := &examination{s: &shell{}, ctx: t.Context(), dir: dir, began: time.Now()}
		test.look(e)
		got := ""
		for _, k := range e.checks {
			got += k.State
			if (k.Mend == "") != (k.State == checkOK) {
				t.Errorf("%s: mend %q", name, k.Mend)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
