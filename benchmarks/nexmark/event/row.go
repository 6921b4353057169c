package event

import (
	"encoding/binary"
	"fmt"

	"github.com/millstream-io/millstream/state/serde"
)

// Row is a struct with a short binary form: its numbers and texts in one order. It is implemented by
// pointers.
type Row interface {
	// AppendTo appends the form to dst and returns the extended slice.
	AppendTo(dst []byte) []byte

	// ReadFrom sets all fields, in the order of AppendTo. What is damaged the Reader notes.
	ReadFrom(r *Reader)
}

// Serde returns a serde for a Row.
func Serde[T any, P interface {
	*T
	Row
}]() serde.Serde[T] {
	return rowSerde[T, P]{}
}

type rowSerde[T any, P interface {
	*T
	Row
}] struct{}

// Append implements serde.Serde.
func (rowSerde[T, P]) Append(dst []byte, _ serde.Info, v T) ([]byte, error) {
	return P(&v).AppendTo(dst), nil
}

// Decode implements serde.Serde. All texts of a row share one copy of its bytes.
func (rowSerde[T, P]) Decode(b []byte, info serde.Info) (T, error) {
	var v T
	r := Reader{left: b}
	P(&v).ReadFrom(&r)
	if r.damaged || len(r.left) > 0 {
		var none T
		return none, fmt.Errorf("decode %T of topic %s: its %d bytes are not in its form", none, info.Topic, len(b))
	}
	return v, nil
}

// AppendNumbers appends numbers, each as a zig-zag varint.
func AppendNumbers(dst []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

// AppendTexts appends texts: first all lengths, each as a varint, then all bytes.
func AppendTexts(dst []byte, texts ...string) []byte {
	for _, t := range texts {
		dst = binary.AppendUvarint(dst, uint64(len(t)))
	}
	for _, t := range texts {
		dst = append(dst, t...)
	}
	return dst
}

// Reader takes the fields of a row from bytes. It keeps none of them.
type Reader struct {
	left    []byte
	damaged bool
}

// Numbers sets what AppendNumbers wrote.
func (r *Reader) Numbers(into ...*int64) {
	for _, n := range into {
		v, size := binary.Varint(r.left)
		if size <= 0 {
			r.damaged = true
			return
		}
		*n, r.left = v, r.left[size:]
	}
}

// AppendList appends how many numbers there are, and the numbers.
func AppendList(dst []byte, list []int64) []byte {
	return AppendNumbers(AppendNumbers(dst, int64(len(list))), list...)
}

// List sets what AppendList wrote.
func (r *Reader) List(into *[]int64) {
	var n int64
	r.Numbers(&n)
	if r.damaged || n < 0 || n > int64(len(r.left)) {
		r.damaged = true
		return
	}
	*into = make([]int64, n)
	for i := range *into {
		r.Numbers(&(*into)[i])
	}
}

// maxTexts is how many texts a row may have.
const maxTexts = 8

// Texts sets what AppendTexts wrote, at most eight.
func (r *Reader) Texts(into ...*string) {
	var ends [maxTexts]int
	end := 0
	for i := range into {
		n, size := binary.Uvarint(r.left)
		if size <= 0 || n > uint64(len(r.left)) {
			r.damaged = true
			return
		}
		r.left = r.left[size:]
		end += int(n)
		ends[i] = end
	}
	if r.damaged || end > len(r.left) {
		r.damaged = true
		return
	}
	all, from := string(r.left[:end]), 0
	for i, t := range into {
		*t, from = all[from:ends[i]], ends[i]
	}
	r.left = r.left[end:]
}
