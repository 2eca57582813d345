package bench

import (
	"os"
	"testing"

	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }
