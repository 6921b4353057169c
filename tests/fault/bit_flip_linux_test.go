package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sys/unix"

	"github.com/millstream-io/millstream/tests/harness"
)

// What a flipped bit did. Those in capitals must not be.
const (
	harmless  = "harmless"        // every record is served as it was acknowledged
	refused   = "records refused" // some records are answered with an error, the others are right
	lossNamed = "loss named"      // a class is known to have lost writes, and takes no more; its last ones may be missing
	notOpened = "start refused"   // the member ends in good order and says why
	unnamed   = "NOT NAMED"       // records are refused, or the start is, and doctor does not say which or why
	lost      = "LOST UNSAID"     // records or topics are missing, and nobody is told
	panicked  = "PANIC CAUGHT"    // the start is refused, or records, but only because a panic was caught
	died      = "DIED"            // the process ended by a panic or a signal
)

// ends are all of them, in the order in which they are printed.
var ends = []string{harmless, refused, lossNamed, notOpened, unnamed, lost, panicked, died}

// Goal: after a clean stop no single flipped bit, in whatever file, makes a member serve something else than
// what was acknowledged, crash or hang; each is refused, or reported at the records that it hit, or harmless; and
// doctor names every record that cannot be had any more. Method: flip one random bit in a copy of a data
// directory, each kind of file as often as the others; ask doctor; start; read everything; compare. -flips
// says how many.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	flipBits(t, *flips, (*harness.Server).Stop)
}

// Goal and method: as TestBitFlips, but the process was killed before. Damage to what was written in the last
// second before cannot be told from writes that never were, so the kill waits until the store has noted how
// far it came.
func TestBitFlipsAfterKill(t *testing.T) {
	t.Parallel()
	flipBits(t, *flips/3, (*harness.Server).Kill)
}

func flipBits(t *testing.T, n int, end func(*harness.Server)) {
	needRoot(t)
	base := work(t)
	var acked journal
	pristine := filepath.Join(base, "pristine")
	makePristine(t, pristine, &acked, end)
	files := filesByKind(t, pristine)
	kinds := slices.Sorted(maps.Keys(files))
	rng := rand.New(rand.NewPCG(*seed, 7))
	out := outcomes{n: map[[2]string]int{}}
	t.Run("flips", func(t *testing.T) {
		for i := range n {
			of := kinds[i%len(kinds)]
			file := files[of][rng.IntN(len(files[of]))]
			bit := rng.Int64N(8 * used(t, filepath.Join(pristine, file)))
			t.Run(fmt.Sprintf("bit %d of %s", bit, file), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(base, fmt.Sprint("flip-", i))
				what := flipOne(t, pristine, dir, file, bit, &acked)
				out.add(of, what)
				if what == strings.ToUpper(what) {
					t.Errorf("%s, by one bit (seed %d)", what, *seed)
				}
			})
		}
	})
	t.Logf("seed %d: %d flips over %d records:\n%s", *seed, n, acked.len(), out.table(kinds))
}

// flipBuckets leave several buckets in a directory that is small enough to be copied for each flip.
var flipBuckets = []string{"--storage-bucket-bytes", fmt.Sprint(4 << 20)}

// makePristine writes a directory with several buckets and ends the member. One partition has more than a
// start reads again: there a bit is found by a reader, or by nobody.
func makePristine(t *testing.T, dir string, acked *journal, end func(*harness.Server)) {
	t.Helper()
	s := harness.StartServer(t, dir, flipBuckets...)
	create(t, s.Kafka(), topics...)
	rng := rand.New(rand.NewPCG(*seed, 8))
	l := startLoad(t, s.Kafka(), rng, acked)
	acked.awaitMore(t, 200)
	l.stop()
	for range 24 {
		if err := write(t, s.Kafka(), "large", newValue(rng, 900_000), acked); err != nil {
			t.Fatal(err)
		}
	}
	create(t, s.Kafka(), "written-last")
	quiet := time.Now()
	mustAgree(t, s.Kafka(), acked, "before anything was flipped")
	for _, class := range []string{"meta", "long"} {
		name := filepath.Join(dir, "log", class, "SEQUENCE")
		harness.Await(t, limit, func() bool { return noted(name, quiet) }, "class %s to note how far it came", class)
	}
	end(s)
}

// noted reports whether a class that was quiet since then has noted how far it came: by a note of after, or
// because the second within which it does so is over by far and the note was just before.
func noted(name string, quiet time.Time) bool {
	fi, err := os.Stat(name)
	return err == nil && (fi.ModTime().After(quiet) || time.Since(quiet) > 5*time.Second)
}

// flipOne makes a copy with one flipped bit and says what a member does with it.
func flipOne(t *testing.T, pristine, dir, file string, bit int64, acked *journal) string {
	t.Helper()
	if out, err := exec.Command("cp", "-r", "--sparse=always", pristine, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v %s", err, out)
	}
	defer os.RemoveAll(dir)
	flip(t, filepath.Join(dir, file), bit)
	found := askDoctor(t, dir)
	s, err := harness.TryServer(t, dir, flipBuckets...)
	defer s.Kill()
	what := notOpened
	switch {
	case found.crashed:
		what = died
	case err == nil:
		what = serves(t, s, acked, found)
	case crashed(s.Log()) != "":
		what = died
	default:
		refusedCleanly(t, s)
		if found.State != "bad" {
			what = unnamed
		}
	}
	if strings.Contains(s.Log(), "address already in use") {
		t.Fatalf("the member did not start for a reason of its own:\n%s", s.Log())
	}
	if what != died && strings.Contains(s.Log(), "panic: ") {
		what = panicked
	}
	if what != harmless {
		t.Logf("%s; doctor:\n%s\nthe log:\n%s", what, found.text, s.Log())
	}
	return what
}

func flip(t *testing.T, name string, bit int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, bit/8)
	b[0] ^= 1 << (bit % 8)
	_, werr := f.WriteAt(b, bit/8)
	if err := errors.Join(err, werr, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// serves compares what a member with a flipped bit serves with what was acknowledged, and what it does not serve
// with what doctor found.
func serves(t *testing.T, s *harness.Server, acked *journal, found *diagnosis) string {
	t.Helper()
	r := readAll(t, s.Kafka(), acked)
	if wrong := append(r.faults, acked.compareServed(r)...); len(wrong) > 0 {
		t.Fatalf("flipped data is served (seed %d): %v", *seed, wrong[:min(5, len(wrong))])
	}
	missing := acked.compare(r)
	codes := map[string]int{}
	for where, err := range r.refused {
		codes[err.Error()]++
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			missing = append(missing, fmt.Errorf("%v: %w", where, err))
		}
	}
	switch {
	case !s.Running():
		return died
	case len(missing) > 0:
		t.Logf("%d records are missing, like %v", len(missing), missing[0])
		if strings.Contains(s.Log(), "durable writes are lost") && found.names("lost durable writes") {
			return lossNamed
		}
		return lost
	case len(r.refused) > 0:
		t.Logf("refused: %v", codes)
		for where := range r.refused {
			if !found.covers(where) {
				t.Logf("doctor does not name %v", where)
				return unnamed
			}
		}
		return refused
	case strings.Contains(s.Log(), "durable writes are lost"):
		if !found.names("lost durable writes") {
			return unnamed
		}
		return lossNamed
	}
	return harmless
}

// diagnosis is what doctor says of a directory.
type diagnosis struct {
	State  string
	Checks []struct {
		Check, State, Says string
		Damage             []struct {
			Topic     string
			Partition int32
			From, To  int64
		}
	}

	text    string
	crashed bool
}

// askDoctor lets doctor look at a copy of a directory, so that the member finds it as it was.
func askDoctor(t *testing.T, dir string) *diagnosis {
	t.Helper()
	copied := dir + "-doctor"
	if out, err := exec.Command("cp", "-r", "--sparse=always", dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v %s", err, out)
	}
	defer os.RemoveAll(copied)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, harness.Binary(t), "doctor", "--data", copied, "--output", "json")
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	d := &diagnosis{text: out.String() + complaints.String()}
	if code := cmd.ProcessState.ExitCode(); code < 0 || code > 2 || strings.Contains(d.text, "panic: ") {
		t.Logf("doctor ended with %v:\n%s", err, d.text)
		d.crashed = true
		return d
	}
	if err := json.Unmarshal(out.Bytes(), d); err != nil {
		t.Fatalf("doctor says what is no JSON: %v\n%s", err, d.text)
	}
	return d
}

// names reports whether a finding has these words.
func (d *diagnosis) names(words string) bool {
	for _, c := range d.Checks {
		if c.State == "bad" && strings.Contains(c.Says, words) {
			return true
		}
	}
	return false
}

// covers reports whether a record is among what doctor names: by its topic, partition and offset, or because
// nothing can be read at all.
func (d *diagnosis) covers(where at) bool {
	for _, c := range d.Checks {
		if c.State == "bad" && slices.Contains([]string{"member file", "log", "metadata"}, c.Check) {
			return true
		}
		for _, r := range c.Damage {
			if r.Topic == where.topic && r.Partition == where.partition &&
				(r.From < 0 || r.From <= where.offset) && (r.To < 0 || where.offset <= r.To) {
				return true
			}
		}
	}
	return false
}

// Goal: a doctor that names too little is found out. Method: what it could say, against one record.
func TestDiagnosisNegativeControl(t *testing.T) {
	const range5to9 = `{"checks": [{"check": "records", "state": "bad", "says": "damaged", "damage":
		[{"topic": "small", "partition": 1, "from": 5, "to": 9}]}]}`
	for _, test := range []struct {
		says   string
		offset int64
		covers bool
	}{
		{`{"checks": [{"check": "records", "state": "ok", "says": "every record verifies"}]}`, 5, false},
		{`{"checks": [{"check": "log", "state": "ok"}, {"check": "writes", "state": "bad"}]}`, 5, false},
		{`{"checks": [{"check": "log", "state": "bad"}]}`, 5, true},
		{range5to9, 4, false}, {range5to9, 5, true}, {range5to9, 9, true}, {range5to9, 10, false},
		{strings.Replace(range5to9, `"small"`, `"large"`, 1), 5, false},
		{strings.Replace(range5to9, `"partition": 1`, `"partition": 0`, 1), 5, false},
		{strings.Replace(range5to9, `"to": 9`, `"to": -1`, 1), 1000, true},
	} {
		var d diagnosis
		if err := json.Unmarshal([]byte(test.says), &d); err != nil {
			t.Fatal(err)
		}
		if got := d.covers(at{part{"small", 1}, test.offset}); got != test.covers {
			t.Errorf("%s covers offset %d: %v", test.says, test.offset, got)
		}
	}
}

// filesByKind lists the files that have bytes, below dir and relative to it, by what they are.
func filesByKind(t *testing.T, dir string) map[string][]string {
	t.Helper()
	kinds := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || used(t, path) == 0 {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if k := fileKind(rel); strings.Contains(k, *kind) {
			kinds[k] = append(kinds[k], rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// fileKind names a file by its class, by whether it stands in a bucket, and by its extension or name.
func fileKind(rel string) string {
	parts := strings.Split(rel, string(filepath.Separator))
	last := parts[len(parts)-1]
	if ext := filepath.Ext(last); ext != "" {
		last = "*" + ext
	}
	switch len(parts) {
	case 5: // log, class, bucket, index, file
		return parts[1] + "/bucket/" + parts[3] + "/" + last
	case 4:
		return parts[1] + "/bucket/" + last
	case 3:
		return parts[1] + "/" + last
	default:
		return last
	}
}

// used is how many bytes from the beginning of a file have room on the disk: files are made longer than what
// they hold, and behind it there is nothing to flip.
func used(t *testing.T, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return min(st.Size, 512*st.Blocks)
}

// outcomes counts what flips did, by kind of file.
type outcomes struct {
	mu sync.Mutex
	n  map[[2]string]int
}

func (o *outcomes) add(kind, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[[2]string{kind, what}]++
}

func (o *outcomes) table(kinds []string) string {
	var b strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&b, "%-26s", kind)
		for _, what := range ends {
			if n := o.n[[2]string{kind, what}]; n > 0 {
				fmt.Fprintf(&b, "  %s %d", what, n)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
