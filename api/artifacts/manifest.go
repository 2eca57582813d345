package artifacts

// UploadManifest is the content of upload-manifest.json: what became of every file
// that sidecar was to store. It is stored after all files that it lists, and before
// finished.json; the two are not listed themselves.
type UploadManifest struct {
	// Timestamp is in Unix seconds.
	Timestamp int64 `json:"timestamp"`
	// Stored, Failed and Skipped count the files in each state.
	Stored  int `json:"stored"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	// Bytes is the size of what was stored.
	Bytes int64          `json:"bytes"`
	Files []UploadedFile `json:"files"`
}

// UploadedFile is one file of an UploadManifest.
type UploadedFile struct {
	// Name is relative to the directory of the run. Of what lies elsewhere in the
	// bucket, such as the pointers to the run, it begins with a slash and is relative
	// to the bucket. Of what was skipped it is the path as the test made it, escaped
	// as names of objects are.
	Name  string      `json:"name"`
	State UploadState `json:"state"`
	// Size is in bytes, and CRC32C the checksum (big-endian, base64, as GCS shows it),
	// both of what is in storage: packed, where ContentEncoding says so, and censored.
	Size            int64  `json:"size"`
	CRC32C          string `json:"crc32c,omitempty"`
	ContentEncoding string `json:"contentEncoding,omitempty"`
	// Attempts is how often it was tried.
	Attempts int `json:"attempts,omitempty"`
	// Error is why it is not stored.
	Error string `json:"error,omitempty"`
}

// UploadState says what became of a file.
type UploadState string

const (
	// UploadStored: the file is in storage.
	UploadStored UploadState = "stored"
	// UploadFailed: the file should be in storage, and is not.
	UploadFailed UploadState = "failed"
	// UploadSkipped: the file is not to be stored: it is no regular file, a link out
	// of its directory, a second file for one name, or not there.
	UploadSkipped UploadState = "skipped"
)

// Add appends a file and counts it.
func (m *UploadManifest) Add(f UploadedFile) {
	switch f.State {
	case UploadStored:
		m.Stored++
		m.Bytes += f.Size
	case UploadFailed:
		m.Failed++
	case UploadSkipped:
		m.Skipped++
	}
	m.Files = append(m.Files, f)
}
