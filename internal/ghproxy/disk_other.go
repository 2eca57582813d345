//go:build !linux

package ghproxy

// diskGauges are told on Linux only.
type diskGauges struct{}

func newDiskGauges(*Proxy, *Options) *diskGauges { return nil }

func (*diskGauges) observe() {}
