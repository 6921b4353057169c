package topology

import (
	"encoding/binary"
	"reflect"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/window"
)

// Store is a key-value store with the types of its keys and values. Declare it once, as a package variable:
// operators that keep state take it, processors open it, and queries and tests read it. It is a name and
// codecs; the rows belong to the tasks of an application, each of which has its own.
type Store[K, V any] struct{ decl[K, V] }

// WindowStore is a store of results by window, with the types of its keys and values; see Store.
type WindowStore[K, V any] struct{ decl[K, V] }

// decl is what a handle declares.
type decl[K, V any] struct {
	name  string
	key   serde.Serde[K]
	value serde.Serde[V]
	spec  storeSpec
	inner bool // no handle of the user's: faults of its serdes are noted elsewhere
}

// storeSpec is how a store is kept.
type storeSpec struct {
	inMemory, changelogOff bool
	windows                Windows // zero: not given
}

// StoreOption changes how a store is kept, of whatever kind.
type StoreOption interface {
	WindowStoreOption
	applyStore(*storeSpec)
}

// WindowStoreOption changes how a store of windows is kept. Every StoreOption is one.
type WindowStoreOption interface{ applyWindowStore(*storeSpec) }

type storeOption func(*storeSpec)

func (f storeOption) applyStore(s *storeSpec)       { f(s) }
func (f storeOption) applyWindowStore(s *storeSpec) { f(s) }

type windowStoreOption func(*storeSpec)

func (f windowStoreOption) applyWindowStore(s *storeSpec) { f(s) }

// ForWindows says which windows a store has and, by their retention, how long it keeps them. A store that processors
// have for themselves needs it; one of a windowed operator has the operator's.
func ForWindows(w Windows) WindowStoreOption {
	return windowStoreOption(func(s *storeSpec) { s.windows = w })
}

// InMemory keeps the rows in memory instead of on the disk. They come back from the changelog when a task
// starts.
func InMemory() StoreOption { return storeOption(func(s *storeSpec) { s.inMemory = true }) }

// ChangelogOff writes no changelog. That declares the store re-creatable: it begins empty where its rows are
// lost, with the disk or, in memory, with the process.
func ChangelogOff() StoreOption { return storeOption(func(s *storeSpec) { s.changelogOff = true }) }

// KV declares a key-value store. name is unique in the topology and becomes part of the name of a topic. A
// nil serde stands for the built-in one of its type; where there is none, Build reports it.
func KV[K, V any](
	name string, key serde.Serde[K], value serde.Serde[V], opts ...StoreOption,
) Store[K, V] {
	d := declare(name, key, value)
	for _, o := range opts {
		o.applyStore(&d.spec)
	}
	return Store[K, V]{d}
}

// WindowKV declares a store for results by window; see KV. It is read by Windowed keys.
func WindowKV[K, V any](
	name string, key serde.Serde[K], value serde.Serde[V], opts ...WindowStoreOption,
) WindowStore[K, V] {
	d := declare(name, key, value)
	for _, o := range opts {
		o.applyWindowStore(&d.spec)
	}
	return WindowStore[K, V]{d}
}

func declare[K, V any](name string, key serde.Serde[K], value serde.Serde[V]) decl[K, V] {
	d := decl[K, V]{name: name, key: key, value: value}
	if d.key == nil {
		d.key, _ = serde.For[K]()
	}
	if d.value == nil {
		d.value, _ = serde.For[V]()
	}
	return d
}

// Name is the name of the store.
func (d decl[K, V]) Name() string { return d.name }

// changelogSuffix makes the name of a store's changelog.
const changelogSuffix = "-changelog"

// changelogOf names the changelog that a store of an application has, or would have. Serdes are told it as
// the topic that they work on.
func changelogOf(app, store string) string { return app + "-" + store + changelogSuffix }

// AppendKey appends the row key of k in the application app.
func (s Store[K, V]) AppendKey(dst []byte, app string, k K) ([]byte, error) {
	return s.appendKey(dst, app, k)
}

// DecodeKey returns the key of a row.
func (s Store[K, V]) DecodeKey(app string, row []byte) (K, error) { return s.decodeKey(app, row) }

// DecodeValue returns the value of a row and its event time. The error of a damaged row is
// fault.CorruptRecord.
func (s Store[K, V]) DecodeValue(app string, row []byte) (V, time.Time, error) {
	return s.decodeValue(app, row)
}

// AppendKey appends the row key of k in the window that begins at start, in the application app.
func (s WindowStore[K, V]) AppendKey(dst []byte, app string, k K, start time.Time) ([]byte, error) {
	return s.appendKey(window.AppendStart(dst, start.UnixMilli()), app, k)
}

// DecodeKey returns the key of a row and the start of its window. ok is false for the one row with which an
// operator keeps its place.
func (s WindowStore[K, V]) DecodeKey(app string, row []byte) (k K, start time.Time, ok bool, err error) {
	if string(row) == string(window.Mark()) {
		return k, start, false, nil
	}
	ms, key, err := window.SplitKey(row)
	if err != nil {
		return k, start, false, err
	}
	k, err = s.decodeKey(app, key)
	return k, time.UnixMilli(ms), err == nil, err
}

// DecodeValue returns the value of a row and its event time; see Store.DecodeValue.
func (s WindowStore[K, V]) DecodeValue(app string, row []byte) (V, time.Time, error) {
	return s.decodeValue(app, row)
}

func (d decl[K, V]) appendKey(dst []byte, app string, k K) ([]byte, error) {
	if d.key == nil {
		return dst, noSerde[K](d.name, "key")
	}
	return d.key.Append(dst, serde.Info{Topic: changelogOf(app, d.name), IsKey: true}, k)
}

func (d decl[K, V]) decodeKey(app string, row []byte) (k K, err error) {
	if d.key == nil {
		return k, noSerde[K](d.name, "key")
	}
	return d.key.Decode(row, serde.Info{Topic: changelogOf(app, d.name), IsKey: true})
}

func (d decl[K, V]) decodeValue(app string, row []byte) (v V, at time.Time, err error) {
	if d.value == nil {
		return v, at, noSerde[V](d.name, "value")
	}
	ms, b, err := splitTime(row)
	if err != nil {
		return v, at, err
	}
	v, err = d.value.Decode(b, serde.Info{Topic: changelogOf(app, d.name)})
	return v, time.UnixMilli(ms), err
}

func noSerde[T any](store, what string) error {
	kind := reflect.TypeFor[T]()
	return fault.New(fault.InvalidRequest, "store %q has no serde for its %s, a %s", store, what, kind).
		WithHint("name one where the store is declared, for example serde.JSON[%s]()", kind)
}

// StoreHandle is a Store or a WindowStore, whatever its types.
type StoreHandle interface {
	// Name is the name of the store.
	Name() string

	kept() storeSpec
	kind() plan.StoreKind
	formats() (key, value string)
	missing() []error      // serdes
	same(StoreHandle) bool // declared alike
}

func (d decl[K, V]) kept() storeSpec             { return d.spec }
func (s Store[K, V]) kind() plan.StoreKind       { return plan.StoreKeyValue }
func (s WindowStore[K, V]) kind() plan.StoreKind { return plan.StoreWindow }

// formats names the encodings; of a store that no handle of the user's stands for, none.
func (d decl[K, V]) formats() (key, value string) {
	if d.inner {
		return "", ""
	}
	return serde.Format(d.key), serde.Format(d.value)
}

func (d decl[K, V]) missing() (errs []error) {
	if d.inner {
		return nil
	}
	if d.key == nil {
		errs = append(errs, noSerde[K](d.name, "key"))
	}
	if d.value == nil {
		errs = append(errs, noSerde[V](d.name, "value"))
	}
	return errs
}

func (s Store[K, V]) same(other StoreHandle) bool {
	o, ok := other.(Store[K, V])
	return ok && s.alike(o.decl)
}

func (s WindowStore[K, V]) same(other StoreHandle) bool {
	o, ok := other.(WindowStore[K, V])
	return ok && s.alike(o.decl)
}

func (d decl[K, V]) alike(o decl[K, V]) bool {
	return d.name == o.name && d.spec == o.spec && sameSerde(d.key, o.key) && sameSerde(d.value, o.value)
}

// timeSize is the size of the event time in front of a row's value, in bytes.
const timeSize = 8

// appendTime appends an event time, in milliseconds since 1970.
func appendTime(dst []byte, ms int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(ms)) }

// splitTime cuts a row's value into its event time, in milliseconds since 1970, and the rest.
func splitTime(row []byte) (ms int64, value []byte, err error) {
	if len(row) < timeSize {
		return 0, nil, fault.New(fault.CorruptRecord, "row of %d bytes has no event time", len(row))
	}
	return int64(binary.BigEndian.Uint64(row)), row[timeSize:], nil
}

// declared is a store of the topology that is being built.
type declared struct {
	*plan.Store
	handle StoreHandle
	maker  *node
	users  []*node // maker among them
	shared bool    // processors have made it: others may use it too
}

// own makes a store that belongs to n alone.
func (b *Builder) own(n *node, h StoreHandle, retention time.Duration) *declared {
	d := &declared{
		handle: h, maker: n, users: []*node{n},
		Store: &plan.Store{
			Name: h.Name(), Kind: h.kind(), Node: n.Node, InMemory: h.kept().inMemory, Retention: retention,
		},
	}
	d.KeyFormat, d.ValueFormat = h.formats()
	if b.built {
		return d // add has noted it; what was built stays as it is
	}
	if h.Name() == "" {
		b.faults = append(b.faults, refused(n.at, "%s has no store", n.Name).
			WithHint("declare one with topology.KV or topology.WindowKV, with a name of its own"))
		return d
	}
	changelog := changelogOf(b.app, h.Name())
	if err := plan.CheckTopicName(changelog); err != nil {
		b.fault(n.at, "store %q of %s cannot name a topic: %w", h.Name(), n.Name, err)
	}
	if !h.kept().changelogOff {
		d.Changelog = changelog
	}
	for _, err := range h.missing() {
		b.fault(n.at, "%s: %w", n.Name, err)
	}
	if first := b.stores[h.Name()]; first != nil {
		b.faults = append(b.faults, refused(n.at, "store %q of %s belongs to %s",
			h.Name(), n.Name, first.maker.Node).WithHint("declare a store for each operator; "+
			"processors may share those of others with topology.Using"))
		return d
	}
	b.stores[h.Name()] = d
	n.Stores = append(n.Stores, d.Store)
	return d
}

// use is a processor that wants a store which may be declared later.
type use struct {
	node   *node
	handle StoreHandle
}

// settleUses connects processors to the stores of others, and makes those that nobody else has.
func (b *Builder) settleUses() {
	for _, u := range b.uses {
		d := b.stores[u.handle.Name()]
		switch {
		case d == nil && u.handle.kind() == plan.StoreWindow:
			b.ownWindows(u)
		case d == nil:
			b.own(u.node, u.handle, 0)
		case slices.Contains(u.node.Stores, d.Store):
		case !d.handle.same(u.handle):
			b.fault(u.node.at, "store %q of %s is declared otherwise by %s", d.Name, u.node.Name, d.maker.Node)
		default:
			d.users = append(d.users, u.node)
			u.node.Stores = append(u.node.Stores, d.Store)
		}
	}
}

// ownWindows makes a store of windows that belongs to processors.
func (b *Builder) ownWindows(u use) {
	w := u.handle.kept().windows
	if w == (Windows{}) {
		b.faults = append(b.faults, refused(u.node.at, "no operator keeps windows in store %q of %s",
			u.handle.Name(), u.node.Name).WithHint("say with topology.ForWindows which windows it has"))
		return
	}
	if err := w.Check(); err != nil {
		b.fault(u.node.at, "store %q of %s: %w", u.handle.Name(), u.node.Name, err)
		return
	}
	b.ownWindowed(u.node, u.handle, w)
}

// ownWindowed is own for a store of windows.
func (b *Builder) ownWindowed(n *node, h StoreHandle, w Windows) *declared {
	d := b.own(n, h, w.Kept())
	d.Window, d.Advance = w.Size(), w.Advance()
	if given := h.kept().windows; given != (Windows{}) && given != w {
		b.fault(n.at, "store %q of %s is declared ForWindows other than those of the operator", h.Name(), n.Name)
	}
	return d
}
