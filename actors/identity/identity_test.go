package identity

import (
	"errors"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the text form is one to one, and what is not a text form is refused. Method: a table both ways.
func TestText(t *testing.T) {
	for text, id := range map[string]Identity{
		"replica/orders/3@7":            {Kind: "replica", Name: "orders/3", Epoch: 7},
		"txn/a@b@0":                     {Kind: "txn", Name: "a@b"},
		"k/n@18446744073709551615":      {Kind: "k", Name: "n", Epoch: 1<<64 - 1},
		"group/ with spaces, ünïcödé@1": {Kind: "group", Name: " with spaces, ünïcödé", Epoch: 1},
	} {
		if got := id.String(); got != text {
			t.Errorf("%+v is %q, want %q", id, got, text)
		}
		if got, err := Parse(text); err != nil || got != id {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "k/n", "/n@1", "k/@1", "k@1", "k@1/n", "a@b/n@1", "k/n@", "k/n@-1", "k/n@01",
		"k/n@18446744073709551616"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q parsed as %+v", text, got)
		}
	}
}

// FuzzParse: what parses is valid and writes itself again; nothing panics.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"replica/orders/3@7", "txn/a@b@0", "k@1/n", "/@", "@/", "k/n@+1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := Parse(text)
		if err != nil {
			return
		}
		if id.Validate() != nil || id.String() != text {
			t.Fatalf("%q parsed as %+v, written as %q", text, id, id)
		}
	})
}

// Goal: the rule who holds a name. Method: claims of one name in order, each with the holder it must leave
// behind.
func TestDirectory(t *testing.T) {
	var d Directory[*int]
	holders := map[uint64]*int{}
	var replaced *int
	claim := func(epoch uint64) (*int, bool, error) {
		return d.Claim(Identity{Kind: "k", Name: "n", Epoch: epoch}, func(old *int) *int {
			replaced = old
			holders[epoch] = new(int)
			return holders[epoch]
		})
	}
	if a, fresh, err := claim(5); a != holders[5] || !fresh || err != nil {
		t.Fatal("free name", a, fresh, err)
	}
	if a, fresh, err := claim(5); a != holders[5] || fresh || err != nil {
		t.Fatal("same epoch", a, fresh, err)
	}
	if _, _, err := claim(4); !errors.Is(err, fault.FencedLeaderEpoch) {
		t.Fatal("lower epoch", err)
	}
	if a, fresh, err := claim(6); a != holders[6] || !fresh || err != nil || replaced != holders[5] {
		t.Fatal("higher epoch", a, fresh, err)
	}
	d.Leave("k", "n", holders[5])
	d.Release("k", "n", holders[5])
	if a, ok := d.Lookup("k", "n"); a != holders[6] || !ok || d.Len() != 1 {
		t.Fatal("a replaced holder took its successor along")
	}
	d.Leave("k", "n", holders[6])
	if _, ok := d.Lookup("k", "n"); ok || d.Len() != 1 {
		t.Fatal("found while leaving")
	}
	if _, _, err := claim(6); !errors.Is(err, fault.LeaderNotAvailable) {
		t.Fatal("claimed while leaving", err)
	}
	d.Release("k", "n", holders[6])
	if _, fresh, err := claim(6); !fresh || err != nil || replaced != nil {
		t.Fatal("after release", fresh, err)
	}
}

// Goal: Validate reports every fault. Method: both names bad.
func TestValidate(t *testing.T) {
	err := Identity{Kind: "a/b"}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Fatalf("got %v", err)
	}
}
