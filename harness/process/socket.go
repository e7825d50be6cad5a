package process

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Owns says whether a TCP connection from one address of 127.0.0.1 to another, "127.0.0.1:40123", was made by the
// process.
func (p *Process) Owns(from, to string) bool {
	local, err := netip.ParseAddrPort(from)
	if err != nil {
		return false
	}
	remote, err := netip.ParseAddrPort(to)
	if err != nil {
		return false
	}
	inode, err := inodeOf(local, remote)
	if err != nil {
		return false
	}
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Pid()))
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil && to == fmt.Sprintf("socket:[%d]", inode) {
			return true
		}
	}
	return false
}

// inodeOf is the inode of the socket at one end of a connection: the kernel is asked for that one (sock_diag(7)), since
// the table of all, /proc/net/tcp, misses some where others come and go.
func inodeOf(local, remote netip.AddrPort) (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	// A header, and of struct inet_diag_req_v2 the family, the protocol, the states, the two ends, and no cookie.
	ask := make([]byte, syscall.NLMSG_HDRLEN+56)
	native, network := binary.NativeEndian, binary.BigEndian
	native.PutUint32(ask, uint32(len(ask)))
	native.PutUint16(ask[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	body := ask[syscall.NLMSG_HDRLEN:]
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	native.PutUint32(body[4:], ^uint32(0))
	network.PutUint16(body[8:], local.Port())
	network.PutUint16(body[10:], remote.Port())
	src, dst := local.Addr().As4(), remote.Addr().As4()
	copy(body[12:], src[:])
	copy(body[28:], dst[:])
	native.PutUint64(body[48:], ^uint64(0))
	if err := unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	said := make([]byte, os.Getpagesize())
	n, _, err := unix.Recvfrom(fd, said, 0)
	if err != nil {
		return 0, err
	}
	const inode = syscall.NLMSG_HDRLEN + 68 // the last field of struct inet_diag_msg
	if n < inode+4 || native.Uint16(said[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return 0, fmt.Errorf("there is no connection from %s to %s", local, remote)
	}
	return native.Uint32(said[inode:]), nil
}
