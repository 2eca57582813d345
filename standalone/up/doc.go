// Package up runs all of Prow in one process: the control plane and node of this
// module, the local forge, and every component through the same Run function
// that its own program uses.
//
// Everything it keeps is in one directory:
//
//	DIR/config/     the configuration, written at first start; edit it, it is followed
//	DIR/secrets/    webhook secret and the bot's token
//	DIR/kube/       the Kubernetes control plane
//	DIR/node/       files of running pods
//	DIR/forge/      the forge: repositories and its database
//	DIR/storage/    logs and artifacts of jobs
//	DIR/cache/      git mirrors
//	DIR/hook.db     webhooks that are not handled yet
//	DIR/deck.db     runs that have ended
//	DIR/prow.log    what all components log
package up
