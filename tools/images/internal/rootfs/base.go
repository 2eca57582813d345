package rootfs

import "fmt"

// User is the user and group that images run as: not root, and the same as in
// other images without a distribution.
const User = 65532

// Home is the directory of the user.
const Home = "/home/nonroot"

// AddBase adds what every image has: users, links that Debian's programs expect,
// a home, and a /tmp that anyone may write to.
func (t Tree) AddBase() {
	t.AddFile("/etc/passwd", fmt.Appendf(nil,
		"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:%d:%d:nonroot:%s:/sbin/nologin\n", User, User, Home), false)
	t.AddFile("/etc/group", fmt.Appendf(nil, "root:x:0:\nnobody:x:65534:\nnonroot:x:%d:\n", User), false)
	t.AddFile("/etc/nsswitch.conf", []byte("hosts: files dns\n"), false)
	t[Home] = Entry{Dir: true, Mode: 0o755, Owner: User}
	t["/tmp"] = Entry{Dir: true, Mode: 0o1777}
}

// AddMerged adds the links by which programs find what is in /usr. Images with
// nothing but a static program need none.
func (t Tree) AddMerged() {
	for _, dir := range []string{"bin", "lib", "lib64", "sbin"} {
		t["/"+dir] = Entry{Link: "usr/" + dir}
		if _, ok := t["/usr/"+dir]; !ok {
			t["/usr/"+dir] = Entry{Dir: true, Mode: 0o755}
		}
	}
}
