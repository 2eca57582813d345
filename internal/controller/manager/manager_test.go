package manager

import (
	"strings"
	"testing"

	"prow/internal/pod/buildid"
)

func TestBadOptionsAreAllTold(t *testing.T) {
	o := &Options{Controllers: []string{"plank", "magic"}, TotURL: "http://[bad"}
	err := o.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--config-path", "--enable-controller=magic", "--tot-url"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if err := (&Options{}).Validate(); err == nil || !strings.Contains(err.Error(), "none is enabled") {
		t.Errorf("no controller at all: %v", err)
	}
}

func TestReplicasMakeBuildIDsOfTheirOwn(t *testing.T) {
	for host, want := range map[string]int{
		"prow-controller-manager-0":                buildid.DefaultNode,
		"prow-controller-manager-3":                buildid.DefaultNode + 3,
		"prow-controller-manager-6d4cf56db6-x7k2p": buildid.DefaultNode,
		"laptop":       buildid.DefaultNode,
		"12":           buildid.DefaultNode,
		"node-1234567": buildid.DefaultNode,
		"":             buildid.DefaultNode,
	} {
		if got := nodeNumber(host); got != want {
			t.Errorf("%q is node %d, want %d", host, got, want)
		}
	}
}
