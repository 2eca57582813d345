package controlplane

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// logSizeMB bounds the log file; klog starts it anew when it is full.
const logSizeMB = "16"

// logToFile sends what Kubernetes' libraries log in this process to one bounded
// file. Only a fatal error, after which the process ends, also goes to stderr.
func logToFile(path string) error {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for name, value := range map[string]string{
		"logtostderr":       "false",
		"alsologtostderr":   "false",
		"stderrthreshold":   "FATAL",
		"log_file":          path,
		"log_file_max_size": logSizeMB,
	} {
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("set up log file: %w", err)
		}
	}
	return nil
}

// etcdLogger writes etcd's warnings to the same file. What etcd calls fatal, or
// a reason to panic, must not end the process behind the caller's back: it is
// reported to fatal and ends only the goroutine.
func etcdLogger(fatal chan<- error) *zap.Logger {
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.TimeKey = zapcore.OmitKey // klog writes the time
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.AddSync(klogWriter{}), zapcore.WarnLevel)
	return zap.New(core, zap.WithFatalHook(fatalHook{fatal}), zap.WithPanicHook(fatalHook{fatal})).Named("etcd")
}

type klogWriter struct{}

func (klogWriter) Write(p []byte) (int, error) {
	klog.Warning(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

type fatalHook struct{ fatal chan<- error }

func (h fatalHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	msg := entry.Message
	if path, ok := enc.Fields["path"]; ok {
		msg = fmt.Sprintf("%s %v", msg, path)
	}
	if cause, ok := enc.Fields["error"]; ok {
		msg = fmt.Sprintf("%s: %v", msg, cause)
	}
	select {
	case h.fatal <- errors.New(msg):
	default:
	}
	runtime.Goexit()
}
