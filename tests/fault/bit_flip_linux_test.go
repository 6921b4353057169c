package fault

import (
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

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-io/millstream/tests/harness"
)

// What a flipped bit did. The last three must not be.
const (
	harmless  = "harmless"        // every record is served as it was acknowledged
	refused   = "records refused" // some records are answered with an error, the others are right
	notOpened = "start refused"   // the member ends in good order and says why
	lost      = "LOST UNSAID"     // records or topics are missing, and nobody is told
	panicked  = "PANIC CAUGHT"    // the start is refused, or records, but only because a panic was caught
	died      = "DIED"            // the process ended by a panic or a signal
)

// gaps are the kinds of files in which a flipped bit is known to do what must not be. Anywhere else it is a
// failure.
var gaps = map[string][]string{
	"long/bucket/*.sst":    {lost, panicked, died},
	"meta/bucket/*.sst":    {lost, panicked, died},
	"long/bucket/MANIFEST": {lost},
	"meta/bucket/MANIFEST": {lost},
}

// Goal: after a clean stop no single flipped bit, in whatever file, makes a member serve something else than
// what was acknowledged, crash or hang; each is refused, or reported at the records that it hit, or harmless.
// Method: flip one random bit in a copy of a data directory, each kind of file as often as the others; start;
// read everything; compare.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	needRoot(t)
	base := work(t)
	var acked journal
	pristine := filepath.Join(base, "pristine")
	makePristine(t, pristine, &acked)
	files := filesByKind(t, pristine)
	kinds := slices.Sorted(maps.Keys(files))
	rng := rand.New(rand.NewPCG(*seed, 7))
	var out outcomes
	t.Run("flips", func(t *testing.T) {
		for i := range *flips {
			of := kinds[i%len(kinds)]
			file := files[of][rng.IntN(len(files[of]))]
			bit := rng.Int64N(8 * size(t, filepath.Join(pristine, file)))
			t.Run(fmt.Sprintf("bit %d of %s", bit, file), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(base, fmt.Sprint("flip-", i))
				what := flipOne(t, pristine, dir, file, bit, &acked)
				out.add(of, what)
				if bad := what == lost || what == panicked || what == died; bad && !gap(of, what) {
					t.Errorf("%s, by one bit (seed %d)", what, *seed)
				}
			})
		}
	})
	t.Logf("seed %d: %d flips over %d records:\n%s", *seed, *flips, acked.len(), out.table(kinds))
	t.Run("known gaps", func(t *testing.T) {
		if seen := out.gaps(); seen != "" {
			t.Skipf("known: a flipped bit in a table or its list can end a start with a panic or lose rows: %s", seen)
		}
	})
}

// gap reports whether a bad end is known for a kind of file.
func gap(kind, what string) bool { return slices.Contains(gaps[kind], what) }

// flipBuckets leave several buckets in a directory that is small enough to be copied for each flip.
var flipBuckets = []string{"--storage-bucket-bytes", fmt.Sprint(4 << 20)}

// makePristine writes a directory with several buckets and stops in good order. One partition has more than a
// start reads again: there a bit is found by a reader, or by nobody.
func makePristine(t *testing.T, dir string, acked *journal) {
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
	mustAgree(t, s.Kafka(), acked, "before anything was flipped")
	s.Stop()
}

// flipOne makes a copy with one flipped bit and says what a member does with it.
func flipOne(t *testing.T, pristine, dir, file string, bit int64, acked *journal) string {
	t.Helper()
	if out, err := exec.Command("cp", "-r", "--sparse=always", pristine, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v %s", err, out)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, file)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[bit/8] ^= 1 << (bit % 8)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := harness.TryServer(t, dir, flipBuckets...)
	defer s.Kill()
	what := notOpened
	switch {
	case err == nil:
		what = serves(t, s, acked)
	case crashed(s.Log()) != "":
		what = died
	default:
		refusedCleanly(t, s)
	}
	if strings.Contains(s.Log(), "address already in use") {
		t.Fatalf("the member did not start for a reason of its own:\n%s", s.Log())
	}
	if what != died && strings.Contains(s.Log(), "panic: ") {
		what = panicked
	}
	if what != harmless {
		t.Logf("%s; the log:\n%s", what, s.Log())
	}
	return what
}

// serves compares what a member with a flipped bit serves.
func serves(t *testing.T, s *harness.Server, acked *journal) string {
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
		return lost
	case len(r.refused) > 0:
		t.Logf("refused: %v", codes)
		return refused
	}
	return harmless
}

// filesByKind lists the files that have bytes, below dir and relative to it, by what they are.
func filesByKind(t *testing.T, dir string) map[string][]string {
	t.Helper()
	kinds := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || size(t, path) == 0 {
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
	case 4: // log, class, bucket, file
		return parts[1] + "/bucket/" + last
	case 3:
		return parts[1] + "/" + last
	default:
		return last
	}
}

func size(t *testing.T, name string) int64 {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// outcomes counts what flips did, by kind of file.
type outcomes struct {
	mu sync.Mutex
	n  map[[2]string]int
}

func (o *outcomes) add(kind, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n == nil {
		o.n = map[[2]string]int{}
	}
	o.n[[2]string{kind, what}]++
}

// gaps tells what was seen of the gaps that are known.
func (o *outcomes) gaps() string {
	var seen []string
	for k, n := range o.n {
		if gap(k[0], k[1]) {
			seen = append(seen, fmt.Sprintf("%s %s %d", k[0], k[1], n))
		}
	}
	slices.Sort(seen)
	return strings.Join(seen, ", ")
}

func (o *outcomes) table(kinds []string) string {
	var b strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&b, "%-26s", kind)
		for _, what := range []string{harmless, refused, notOpened, lost, panicked, died} {
			if n := o.n[[2]string{kind, what}]; n > 0 {
				fmt.Fprintf(&b, "  %s %d", what, n)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
