// Package sidecar is the logic of sidecar: it waits until the processes of a pod
// have left their markers, and then stores their logs, their artifacts, and
// finished.json with the verdict.
//
// Everything that goes to storage passes the censor. Secrets that cannot be read
// cannot be removed, so then nothing but the verdict is stored, with the reason.
// When the pod is told to end before the markers are there, what there is gets
// stored at once as aborted, and again if the markers still come.
package sidecar
