// Package webhook receives the webhooks of GitHub for programs that react to them.
//
// The way of a delivery: [Acceptor] checks it and its signature and hands it to
// [Inbox.Take], which finds out whether there is work to do for it and writes it
// down, and only then is it answered. The work runs at once while there is room,
// else from the store later. What a dead process has begun is taken up again,
// so everything is done at least once; the [Work] sees to it that effects are not
// repeated. A delivery whose work kills the process several times is put aside.
package webhook
