// Package ghproxy is a caching proxy for the API of GitHub.
//
// A GET is answered from the cache once GitHub has said 304 to its validator,
// with the asker's own credential, which costs nothing of the rate limit. Equal
// requests in flight become one; writes are spaced and the number of requests
// in flight is bounded; tokens of one installation are made one, so that all
// components share a budget and a part of the cache. A request passes
//
//	proxy → coalescer → cache → throttle → headers and metrics → token equalizer → GitHub
package ghproxy
