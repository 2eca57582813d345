package entry

import (
	"syscall"
	"unsafe"
)

// waitNoReap waits for a child to end and leaves its state to be collected: so
// its process group cannot be anybody else's yet.
func waitNoReap(pid int) (ended bool, err error) {
	const (
		idPID   = 1
		exited  = 4
		noReap  = 0x1000000
		infoLen = 128
	)
	var info [infoLen]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idPID, uintptr(pid), uintptr(unsafe.Pointer(&info[0])), exited|noReap, 0, 0)
		if errno == 0 {
			return true, nil
		}
		if errno != syscall.EINTR {
			return false, errno
		}
	}
}
