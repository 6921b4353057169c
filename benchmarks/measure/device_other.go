//go:build !linux

package measure

import "errors"

func blockDevice(string) (string, error) {
	return "", errors.New("what a device does can be told on Linux only")
}
