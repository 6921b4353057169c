// Package observe counts what a member does and tells it to Prometheus. It is the only importer of a metrics
// library: the other packages declare an Observer each, and this one implements them.
//
//	actors, engine, statedb, kafka, http, partition, task → Observer (atomic counters) ┐
//	member → Snapshot (asked at each scrape: offsets, leaders, free bytes)          ┴→ registry of the member → handler
//
// Invariants:
//   - Every member has a registry of its own; nothing is registered in a global one.
//   - Observers do not block, and those of the paths of records do not allocate: what a label stands for is looked up
//     once, or in a map that is never changed.
//   - No label has unbounded values. A set that programs or users can grow has a limit; what comes later is counted
//     under "other", so that sums stay right.
//   - Names are millstream_<package>_<noun>_<unit>, counters end in _total.
//
// It must not decide, log or keep anything alive: it holds no actor, no view and no store.
package observe
