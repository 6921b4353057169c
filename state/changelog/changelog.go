package changelog

import (
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Record returns the record that a row leaves in its store's changelog, and the number of the store. Key and Value
// alias the row; Value is nil for a row that is deleted. Error: fault.InvalidRecord for a row that belongs to no
// store, or has no key in it.
func Record(r state.StateRow, timestampMs int64) (store uint16, rec record.Record, err error) {
	store, key, ok := state.SplitRowKey(r.Key)
	if !ok || len(key) == 0 {
		return 0, record.Record{}, fault.New(fault.InvalidRecord, "a row of %d bytes of key belongs to no store",
			len(r.Key)).WithHint("report it: a store wrote a row without a key")
	}
	return store, record.Record{TimestampMs: timestampMs, Key: key, Value: r.Value}, nil
}

// AppendRow appends the key of the row that a record of a store's changelog stands for to dst, and returns it with
// the extended slice. The row's key aliases dst and its value the record. Errors: fault.InvalidRecord for a record
// without a key, fault.RecordTooLarge for one that no row has room for.
func AppendRow(dst []byte, store uint16, rec record.Record) (row state.StateRow, extended []byte, err error) {
	if len(rec.Key) == 0 {
		return state.StateRow{}, dst, fault.New(fault.InvalidRecord,
			"the record at offset %d of a changelog has no key", rec.Offset).
			WithHint("somebody else writes to the changelog topic: restrict it to the application")
	}
	begin := len(dst)
	dst = state.RowKey(dst, store, rec.Key)
	row = state.StateRow{Key: dst[begin:len(dst):len(dst)], Value: rec.Value}
	if err := state.CheckRow(row); err != nil {
		return state.StateRow{}, dst[:begin], err
	}
	return row, dst, nil
}
