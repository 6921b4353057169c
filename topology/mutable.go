package topology

import "reflect"

// mutable reports whether a function that is given a T can change something that others see.
func mutable[T any]() bool { return refers(reflect.TypeFor[T](), 0) }

// maxTypeDepth bounds how deep types are looked into; what lies deeper counts as mutable.
const maxTypeDepth = 16

func refers(t reflect.Type, depth int) bool {
	if depth > maxTypeDepth {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Chan, reflect.Func,
		reflect.UnsafePointer:
		return true
	case reflect.Array:
		return refers(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if refers(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}
