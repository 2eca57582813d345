// Package hostexec runs containers without images, on the machine's own file
// system.
//
// The program starts itself again as process 1 of new user, mount, PID, IPC and
// UTS namespaces. This init builds the container's view of the files, starts
// the job, passes signals on, reaps orphans and reports how the job ended:
//
//	/            a mirror of the machine, read-only
//	/tmp, /var/tmp, HOME     private to the container, writable
//	/home, /root, /run       empty: homes, keys and sockets are nobody's business
//	/dev, /proc              fresh, with the usual devices
//	state directory          empty
//	volumes                  at their paths, which appear if missing
//
// Whatever ends the init, the kernel then kills every process of its PID
// namespace, and the mounts vanish with the namespace. The init itself ends
// with this program: it dies by signal when its parent dies, and when the
// connection to it closes.
//
// The network is the machine's. Inside, a job is root but without power over
// the machine: the user namespace makes its capabilities count only there, and
// most are dropped. Without root on the machine, the only user that exists
// inside is the one who runs the program.
package hostexec
