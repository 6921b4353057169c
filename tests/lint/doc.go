// Package lint holds the house rules as ordinary Go tests: who may import whom, where goroutines and locks
// may stand, how long a function may be, that every exported identifier says what it is. `go test
// ./tests/lint` is the whole of it.
//
// One walk:
//
//	tree (parse every file of the module) → rules (pure: sources in, findings out) → ratchet.txt → test result
//
// A rule that cannot hold everywhere yet has its exceptions in ratchet.txt, each with a reason. The ratchet
// only turns one way: an exception that no longer matches anything fails the test too, so the list shrinks by
// itself.
//
// Invariants: every rule has a negative control, a source text that it must catch (negative_control_test.go);
// rules see syntax only and need no network; generated files are exempt from the rules about shape.
//
// It must not import any package of this module: it reads them as text.
package lint
