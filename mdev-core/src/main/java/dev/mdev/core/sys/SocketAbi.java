package dev.mdev.core.sys;

/// Numbers and structures of Unix domain sockets and of netlink (Linux, x86-64).
public final class SocketAbi {
    public static final int AF_UNIX = 1;
    public static final int AF_NETLINK = 16;
    public static final int NETLINK_KOBJECT_UEVENT = 15;
    public static final int SOCK_STREAM = 1;
    public static final int SOCK_DGRAM = 2;
    public static final int SOCK_CLOEXEC = 0x80000;
    public static final int SOL_SOCKET = 1;
    public static final int SO_PEERCRED = 17;
    public static final int SO_SNDTIMEO = 21;
    public static final int SCM_RIGHTS = 1;
    public static final int MSG_CTRUNC = 8;
    public static final int MSG_DONTWAIT = 0x40;
    public static final int MSG_NOSIGNAL = 0x4000;
    public static final int MSG_CMSG_CLOEXEC = 0x40000000;
    public static final int SHUT_RDWR = 2;

    private SocketAbi() {}

    /// `struct sockaddr_un`.
    public static final class SockaddrUn {
        public static final int SIZE = 110;
        public static final int FAMILY = 0;
        public static final int PATH = 2;

        private SockaddrUn() {}
    }

    /// `struct sockaddr_nl`.
    public static final class SockaddrNl {
        public static final int SIZE = 12;
        public static final int FAMILY = 0;
        public static final int GROUPS = 8;

        private SockaddrNl() {}
    }

    /// `struct msghdr`.
    public static final class Msghdr {
        public static final int SIZE = 56;
        public static final int IOV = 16;
        public static final int IOVLEN = 24;
        public static final int CONTROL = 32;
        public static final int CONTROLLEN = 40;
        public static final int FLAGS = 48;

        private Msghdr() {}
    }

    /// `struct iovec`.
    public static final class Iovec {
        public static final int SIZE = 16;
        public static final int BASE = 0;
        public static final int LEN = 8;

        private Iovec() {}
    }

    /// `struct cmsghdr`; its data follow, and the next one begins at a multiple of eight.
    public static final class Cmsghdr {
        public static final int SIZE = 16;
        public static final int LEN = 0;
        public static final int LEVEL = 8;
        public static final int TYPE = 12;

        private Cmsghdr() {}
    }

    /// `struct ucred`.
    public static final class Ucred {
        public static final int SIZE = 12;
        public static final int PID = 0;
        public static final int UID = 4;
        public static final int GID = 8;

        private Ucred() {}
    }
}
