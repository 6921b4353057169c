package identity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Identity names one life of one activation.
type Identity struct {
	// Kind is what it is: "replica", "task". Not empty, without "/" and "@".
	Kind string
	// Name is which one it is among its kind: "orders/3". Not empty.
	Name string
	// Epoch is given by whoever placed it; a higher one replaces a lower one.
	Epoch uint64
	// Incarnation numbers the lives on this member, from 1, unique over the whole system and rising; 0 means
	// the activation as such, whichever life it is in.
	Incarnation uint64
}

// String returns "kind/name@epoch". The incarnation is left out: it is not part of the address.
func (id Identity) String() string {
	b := make([]byte, 0, len(id.Kind)+len(id.Name)+12)
	b = append(b, id.Kind...)
	b = append(b, '/')
	b = append(b, id.Name...)
	b = append(b, '@')
	return string(strconv.AppendUint(b, id.Epoch, 10))
}

// Validate reports every fault of the names at once.
func (id Identity) Validate() error {
	var errs []error
	if id.Kind == "" || strings.ContainsAny(id.Kind, "/@") {
		errs = append(errs, fmt.Errorf("kind %q: must not be empty nor hold / or @", id.Kind))
	}
	if id.Name == "" {
		errs = append(errs, errors.New("name: must not be empty"))
	}
	return errors.Join(errs...)
}

// Parse reads what String wrote. The incarnation is 0.
func Parse(text string) (Identity, error) {
	kind, rest, found := strings.Cut(text, "/")
	at := strings.LastIndexByte(rest, '@')
	if !found || at < 0 {
		return Identity{}, fmt.Errorf("parse identity %q: want kind/name@epoch", text)
	}
	epoch, err := strconv.ParseUint(rest[at+1:], 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("parse identity %q: epoch: %w", text, err)
	}
	id := Identity{Kind: kind, Name: rest[:at], Epoch: epoch}
	if err := id.Validate(); err != nil {
		return Identity{}, fmt.Errorf("parse identity %q: %w", text, err)
	}
	if id.String() != text {
		return Identity{}, fmt.Errorf("parse identity %q: epoch is not in its shortest form", text)
	}
	return id, nil
}
