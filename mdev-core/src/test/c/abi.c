/*
 * Prints what this machine's headers say of every constant in the *Abi classes:
 * one line each, "Class.NAME value". What older headers lack is printed as
 * "Class.NAME absent", so that the test can tell it from a forgotten constant.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <linux/fuse.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>

#define VALUE(cls, name, value) printf(#cls "." #name " %lld\n", (long long)(value))
#define MACRO(cls, name) printf(#cls "." #name " %lld\n", (long long)(name))
#define ABSENT(cls, name) printf(#cls "." #name " absent\n")
#define SIZE(cls, type) VALUE(cls, SIZE, sizeof(type))
#define OFFSET(cls, name, type, member) VALUE(cls, name, offsetof(type, member))

static void linux_abi(void)
{
	MACRO(LinuxAbi, O_RDONLY);
	MACRO(LinuxAbi, O_RDWR);
	MACRO(LinuxAbi, O_DIRECT);
	MACRO(LinuxAbi, O_NONBLOCK);
	MACRO(LinuxAbi, O_SYNC);
	MACRO(LinuxAbi, O_CLOEXEC);
	MACRO(LinuxAbi, PROT_NONE);
	MACRO(LinuxAbi, PROT_READ);
	MACRO(LinuxAbi, PROT_WRITE);
	MACRO(LinuxAbi, MAP_SHARED);
	MACRO(LinuxAbi, MAP_PRIVATE);
	MACRO(LinuxAbi, MAP_FIXED);
	MACRO(LinuxAbi, MAP_ANONYMOUS);
	MACRO(LinuxAbi, MAP_NORESERVE);
	MACRO(LinuxAbi, MAP_FAILED);
	MACRO(LinuxAbi, MADV_DONTNEED);
	MACRO(LinuxAbi, MFD_CLOEXEC);
	MACRO(LinuxAbi, EFD_CLOEXEC);
	MACRO(LinuxAbi, EFD_NONBLOCK);
	MACRO(LinuxAbi, POSIX_FADV_RANDOM);
	MACRO(LinuxAbi, SYNC_FILE_RANGE_WAIT_BEFORE);
	MACRO(LinuxAbi, SYNC_FILE_RANGE_WRITE);
	MACRO(LinuxAbi, SYNC_FILE_RANGE_WAIT_AFTER);
	MACRO(LinuxAbi, MS_NOSUID);
	MACRO(LinuxAbi, MS_NODEV);
	MACRO(LinuxAbi, MS_NOEXEC);
	MACRO(LinuxAbi, MNT_FORCE);
	MACRO(LinuxAbi, MNT_DETACH);
	MACRO(LinuxAbi, PRIO_PROCESS);
	MACRO(LinuxAbi, POLLIN);
	MACRO(LinuxAbi, POLLOUT);
	MACRO(LinuxAbi, SIGBUS);
	MACRO(LinuxAbi, SIGKILL);
	MACRO(LinuxAbi, SIGUSR1);
	MACRO(LinuxAbi, SIG_BLOCK);
	MACRO(LinuxAbi, SIG_SETMASK);
	SIZE(LinuxAbi.Pollfd, struct pollfd);
	OFFSET(LinuxAbi.Pollfd, FD, struct pollfd, fd);
	OFFSET(LinuxAbi.Pollfd, EVENTS, struct pollfd, events);
	OFFSET(LinuxAbi.Pollfd, REVENTS, struct pollfd, revents);
	SIZE(LinuxAbi.Sigset, sigset_t);
	SIZE(LinuxAbi.Siginfo, siginfo_t);
	OFFSET(LinuxAbi.Siginfo, ADDR, siginfo_t, si_addr);
	SIZE(LinuxAbi.Timespec, struct timespec);
	SIZE(LinuxAbi.SpawnFileActions, posix_spawn_file_actions_t);
}

static void file_abi(void)
{
	MACRO(FileAbi, O_ACCMODE);
	MACRO(FileAbi, O_RDONLY);
	MACRO(FileAbi, O_WRONLY);
	MACRO(FileAbi, O_APPEND);
	MACRO(FileAbi, O_DIRECT);
	MACRO(FileAbi, O_PATH);
	MACRO(FileAbi, F_GETFL);
	MACRO(FileAbi, F_SETFL);
	MACRO(FileAbi, F_ADD_SEALS);
	MACRO(FileAbi, F_GET_SEALS);
	MACRO(FileAbi, F_SEAL_SHRINK);
	MACRO(FileAbi, F_SEAL_WRITE);
	MACRO(FileAbi, MFD_ALLOW_SEALING);
	MACRO(FileAbi, RWF_NOWAIT);
	MACRO(FileAbi, SEEK_DATA);
	MACRO(FileAbi, SEEK_HOLE);
	MACRO(FileAbi, FALLOC_FL_KEEP_SIZE);
	MACRO(FileAbi, FALLOC_FL_PUNCH_HOLE);
	MACRO(FileAbi, S_IFMT);
	MACRO(FileAbi, S_IFREG);
	VALUE(FileAbi, TMPFS_MAGIC, (int)TMPFS_MAGIC);
	VALUE(FileAbi, HUGETLBFS_MAGIC, (int)HUGETLBFS_MAGIC);
	VALUE(FileAbi, EXT4_SUPER_MAGIC, (int)EXT4_SUPER_MAGIC);
	VALUE(FileAbi, XFS_SUPER_MAGIC, (int)XFS_SUPER_MAGIC);
	VALUE(FileAbi, BTRFS_SUPER_MAGIC, (int)BTRFS_SUPER_MAGIC);
	SIZE(FileAbi.Stat, struct stat);
	OFFSET(FileAbi.Stat, DEV, struct stat, st_dev);
	OFFSET(FileAbi.Stat, INO, struct stat, st_ino);
	OFFSET(FileAbi.Stat, MODE, struct stat, st_mode);
	OFFSET(FileAbi.Stat, FILE_SIZE, struct stat, st_size);
	OFFSET(FileAbi.Stat, BLKSIZE, struct stat, st_blksize);
	OFFSET(FileAbi.Stat, BLOCKS, struct stat, st_blocks);
	VALUE(FileAbi.Stat, BLOCK_BYTES, S_BLKSIZE);
	SIZE(FileAbi.Statfs, struct statfs);
	OFFSET(FileAbi.Statfs, TYPE, struct statfs, f_type);
}

static void socket_abi(void)
{
	MACRO(SocketAbi, AF_UNIX);
	MACRO(SocketAbi, AF_NETLINK);
	MACRO(SocketAbi, NETLINK_KOBJECT_UEVENT);
	MACRO(SocketAbi, SOCK_STREAM);
	MACRO(SocketAbi, SOCK_DGRAM);
	MACRO(SocketAbi, SOCK_CLOEXEC);
	MACRO(SocketAbi, SOL_SOCKET);
	MACRO(SocketAbi, SO_PEERCRED);
	MACRO(SocketAbi, SO_SNDTIMEO);
	MACRO(SocketAbi, SCM_RIGHTS);
	MACRO(SocketAbi, MSG_CTRUNC);
	MACRO(SocketAbi, MSG_DONTWAIT);
	MACRO(SocketAbi, MSG_NOSIGNAL);
	MACRO(SocketAbi, MSG_CMSG_CLOEXEC);
	MACRO(SocketAbi, SHUT_RDWR);
	SIZE(SocketAbi.SockaddrNl, struct sockaddr_nl);
	OFFSET(SocketAbi.SockaddrNl, FAMILY, struct sockaddr_nl, nl_family);
	OFFSET(SocketAbi.SockaddrNl, GROUPS, struct sockaddr_nl, nl_groups);
	SIZE(SocketAbi.SockaddrUn, struct sockaddr_un);
	OFFSET(SocketAbi.SockaddrUn, FAMILY, struct sockaddr_un, sun_family);
	OFFSET(SocketAbi.SockaddrUn, PATH, struct sockaddr_un, sun_path);
	SIZE(SocketAbi.Msghdr, struct msghdr);
	OFFSET(SocketAbi.Msghdr, IOV, struct msghdr, msg_iov);
	OFFSET(SocketAbi.Msghdr, IOVLEN, struct msghdr, msg_iovlen);
	OFFSET(SocketAbi.Msghdr, CONTROL, struct msghdr, msg_control);
	OFFSET(SocketAbi.Msghdr, CONTROLLEN, struct msghdr, msg_controllen);
	OFFSET(SocketAbi.Msghdr, FLAGS, struct msghdr, msg_flags);
	SIZE(SocketAbi.Iovec, struct iovec);
	OFFSET(SocketAbi.Iovec, BASE, struct iovec, iov_base);
	OFFSET(SocketAbi.Iovec, LEN, struct iovec, iov_len);
	SIZE(SocketAbi.Cmsghdr, struct cmsghdr);
	OFFSET(SocketAbi.Cmsghdr, LEN, struct cmsghdr, cmsg_len);
	OFFSET(SocketAbi.Cmsghdr, LEVEL, struct cmsghdr, cmsg_level);
	OFFSET(SocketAbi.Cmsghdr, TYPE, struct cmsghdr, cmsg_type);
	SIZE(SocketAbi.Ucred, struct ucred);
	OFFSET(SocketAbi.Ucred, PID, struct ucred, pid);
	OFFSET(SocketAbi.Ucred, UID, struct ucred, uid);
	OFFSET(SocketAbi.Ucred, GID, struct ucred, gid);
}

static void userfaultfd_numbers(void)
{
	MACRO(UserfaultfdAbi, UFFD_API);
#ifdef USERFAULTFD_IOC_NEW
	MACRO(UserfaultfdAbi, USERFAULTFD_IOC_NEW);
#else
	ABSENT(UserfaultfdAbi, USERFAULTFD_IOC_NEW);
#endif
	MACRO(UserfaultfdAbi, UFFDIO_API);
	MACRO(UserfaultfdAbi, UFFDIO_REGISTER);
	MACRO(UserfaultfdAbi, UFFDIO_WAKE);
	MACRO(UserfaultfdAbi, UFFDIO_CONTINUE);
	MACRO(UserfaultfdAbi, UFFDIO_REGISTER_MODE_MISSING);
	MACRO(UserfaultfdAbi, UFFDIO_REGISTER_MODE_MINOR);
	MACRO(UserfaultfdAbi, UFFD_FEATURE_MISSING_SHMEM);
	MACRO(UserfaultfdAbi, UFFD_FEATURE_THREAD_ID);
	MACRO(UserfaultfdAbi, UFFD_FEATURE_MINOR_SHMEM);
	MACRO(UserfaultfdAbi, UFFD_EVENT_PAGEFAULT);
	MACRO(UserfaultfdAbi, UFFD_PAGEFAULT_FLAG_WRITE);
	MACRO(UserfaultfdAbi, UFFDIO_CONTINUE_MODE_DONTWAKE);
}

static void userfaultfd_structs(void)
{
	SIZE(UserfaultfdAbi.Api, struct uffdio_api);
	OFFSET(UserfaultfdAbi.Api, API, struct uffdio_api, api);
	OFFSET(UserfaultfdAbi.Api, FEATURES, struct uffdio_api, features);
	OFFSET(UserfaultfdAbi.Api, IOCTLS, struct uffdio_api, ioctls);
	SIZE(UserfaultfdAbi.Range, struct uffdio_range);
	OFFSET(UserfaultfdAbi.Range, START, struct uffdio_range, start);
	OFFSET(UserfaultfdAbi.Range, LEN, struct uffdio_range, len);
	SIZE(UserfaultfdAbi.Register, struct uffdio_register);
	OFFSET(UserfaultfdAbi.Register, MODE, struct uffdio_register, mode);
	OFFSET(UserfaultfdAbi.Register, IOCTLS, struct uffdio_register, ioctls);
	SIZE(UserfaultfdAbi.Continue, struct uffdio_continue);
	OFFSET(UserfaultfdAbi.Continue, MODE, struct uffdio_continue, mode);
	OFFSET(UserfaultfdAbi.Continue, MAPPED, struct uffdio_continue, mapped);
#ifdef UFFDIO_POISON
	MACRO(UserfaultfdAbi, UFFDIO_POISON);
	SIZE(UserfaultfdAbi.Poison, struct uffdio_poison);
	OFFSET(UserfaultfdAbi.Poison, MODE, struct uffdio_poison, mode);
	OFFSET(UserfaultfdAbi.Poison, UPDATED, struct uffdio_poison, updated);
#else
	ABSENT(UserfaultfdAbi, UFFDIO_POISON);
	ABSENT(UserfaultfdAbi.Poison, SIZE);
	ABSENT(UserfaultfdAbi.Poison, MODE);
	ABSENT(UserfaultfdAbi.Poison, UPDATED);
#endif
	SIZE(UserfaultfdAbi.Msg, struct uffd_msg);
	OFFSET(UserfaultfdAbi.Msg, EVENT, struct uffd_msg, event);
	OFFSET(UserfaultfdAbi.Msg, FLAGS, struct uffd_msg, arg.pagefault.flags);
	OFFSET(UserfaultfdAbi.Msg, ADDRESS, struct uffd_msg, arg.pagefault.address);
	OFFSET(UserfaultfdAbi.Msg, PTID, struct uffd_msg, arg.pagefault.feat.ptid);
}

static void kvm_numbers(void)
{
	MACRO(KvmAbi, KVM_API_VERSION);
	MACRO(KvmAbi, KVM_GET_API_VERSION);
	MACRO(KvmAbi, KVM_CREATE_VM);
	MACRO(KvmAbi, KVM_CHECK_EXTENSION);
	MACRO(KvmAbi, KVM_GET_VCPU_MMAP_SIZE);
	MACRO(KvmAbi, KVM_GET_SUPPORTED_CPUID);
	MACRO(KvmAbi, KVM_CREATE_VCPU);
	MACRO(KvmAbi, KVM_GET_DIRTY_LOG);
	MACRO(KvmAbi, KVM_SET_USER_MEMORY_REGION);
	MACRO(KvmAbi, KVM_IOEVENTFD);
	MACRO(KvmAbi, KVM_ENABLE_CAP);
	MACRO(KvmAbi, KVM_CLEAR_DIRTY_LOG);
	MACRO(KvmAbi, KVM_RESET_DIRTY_RINGS);
	MACRO(KvmAbi, KVM_CAP_USER_MEMORY);
	MACRO(KvmAbi, KVM_CAP_NR_MEMSLOTS);
	MACRO(KvmAbi, KVM_CAP_SYNC_MMU);
	MACRO(KvmAbi, KVM_CAP_READONLY_MEM);
	MACRO(KvmAbi, KVM_CAP_X86_SMM);
	MACRO(KvmAbi, KVM_CAP_MULTI_ADDRESS_SPACE);
	MACRO(KvmAbi, KVM_CAP_IMMEDIATE_EXIT);
	MACRO(KvmAbi, KVM_CAP_DIRTY_LOG_RING);
	MACRO(KvmAbi, KVM_DIRTY_LOG_PAGE_OFFSET);
}

static void kvm_structs(void)
{
	SIZE(KvmAbi.UserspaceMemoryRegion, struct kvm_userspace_memory_region);
	OFFSET(KvmAbi.UserspaceMemoryRegion, SLOT, struct kvm_userspace_memory_region, slot);
	OFFSET(KvmAbi.UserspaceMemoryRegion, FLAGS, struct kvm_userspace_memory_region, flags);
	OFFSET(KvmAbi.UserspaceMemoryRegion, GUEST_PHYS_ADDR, struct kvm_userspace_memory_region,
	       guest_phys_addr);
	OFFSET(KvmAbi.UserspaceMemoryRegion, MEMORY_SIZE, struct kvm_userspace_memory_region,
	       memory_size);
	OFFSET(KvmAbi.UserspaceMemoryRegion, USERSPACE_ADDR, struct kvm_userspace_memory_region,
	       userspace_addr);
	SIZE(KvmAbi.DirtyLog, struct kvm_dirty_log);
	OFFSET(KvmAbi.DirtyLog, SLOT, struct kvm_dirty_log, slot);
	OFFSET(KvmAbi.DirtyLog, DIRTY_BITMAP, struct kvm_dirty_log, dirty_bitmap);
	SIZE(KvmAbi.ClearDirtyLog, struct kvm_clear_dirty_log);
	OFFSET(KvmAbi.ClearDirtyLog, SLOT, struct kvm_clear_dirty_log, slot);
	OFFSET(KvmAbi.ClearDirtyLog, NUM_PAGES, struct kvm_clear_dirty_log, num_pages);
	OFFSET(KvmAbi.ClearDirtyLog, FIRST_PAGE, struct kvm_clear_dirty_log, first_page);
	OFFSET(KvmAbi.ClearDirtyLog, DIRTY_BITMAP, struct kvm_clear_dirty_log, dirty_bitmap);
	SIZE(KvmAbi.Ioeventfd, struct kvm_ioeventfd);
	OFFSET(KvmAbi.Ioeventfd, ADDR, struct kvm_ioeventfd, addr);
	OFFSET(KvmAbi.Ioeventfd, LEN, struct kvm_ioeventfd, len);
	OFFSET(KvmAbi.Ioeventfd, FD, struct kvm_ioeventfd, fd);
	OFFSET(KvmAbi.Ioeventfd, FLAGS, struct kvm_ioeventfd, flags);
	VALUE(KvmAbi.Ioeventfd, DEASSIGN, KVM_IOEVENTFD_FLAG_DEASSIGN);
	SIZE(KvmAbi.EnableCap, struct kvm_enable_cap);
	OFFSET(KvmAbi.EnableCap, CAP, struct kvm_enable_cap, cap);
	OFFSET(KvmAbi.EnableCap, FLAGS, struct kvm_enable_cap, flags);
	OFFSET(KvmAbi.EnableCap, ARGS, struct kvm_enable_cap, args);
}

static void vcpu_numbers(void)
{
	MACRO(KvmVcpuAbi, KVM_RUN);
	MACRO(KvmVcpuAbi, KVM_GET_REGS);
	MACRO(KvmVcpuAbi, KVM_SET_REGS);
	MACRO(KvmVcpuAbi, KVM_GET_SREGS);
	MACRO(KvmVcpuAbi, KVM_SET_SREGS);
	MACRO(KvmVcpuAbi, KVM_GET_MSRS);
	MACRO(KvmVcpuAbi, KVM_SET_MSRS);
	MACRO(KvmVcpuAbi, KVM_SET_SIGNAL_MASK);
	MACRO(KvmVcpuAbi, KVM_SET_CPUID2);
	MACRO(KvmVcpuAbi, KVM_SET_GUEST_DEBUG);
	MACRO(KvmVcpuAbi, KVM_SMI);
	MACRO(KvmVcpuAbi, KVM_EXIT_DEBUG);
	MACRO(KvmVcpuAbi, KVM_EXIT_MMIO);
	MACRO(KvmVcpuAbi, KVM_EXIT_SHUTDOWN);
	MACRO(KvmVcpuAbi, KVM_RUN_X86_SMM);
	MACRO(KvmVcpuAbi, KVM_GUESTDBG_ENABLE);
	MACRO(KvmVcpuAbi, KVM_GUESTDBG_SINGLESTEP);
	MACRO(KvmVcpuAbi, KVM_EXIT_DIRTY_RING_FULL);
}

static void vcpu_structs(void)
{
	OFFSET(KvmVcpuAbi.Run, IMMEDIATE_EXIT, struct kvm_run, immediate_exit);
	OFFSET(KvmVcpuAbi.Run, EXIT_REASON, struct kvm_run, exit_reason);
	OFFSET(KvmVcpuAbi.Run, FLAGS, struct kvm_run, flags);
	OFFSET(KvmVcpuAbi.Run, MMIO_PHYS_ADDR, struct kvm_run, mmio.phys_addr);
	OFFSET(KvmVcpuAbi.Run, MMIO_DATA, struct kvm_run, mmio.data);
	OFFSET(KvmVcpuAbi.Run, MMIO_LEN, struct kvm_run, mmio.len);
	OFFSET(KvmVcpuAbi.Run, MMIO_IS_WRITE, struct kvm_run, mmio.is_write);
	SIZE(KvmVcpuAbi.Regs, struct kvm_regs);
	OFFSET(KvmVcpuAbi.Regs, RBX, struct kvm_regs, rbx);
	OFFSET(KvmVcpuAbi.Regs, RCX, struct kvm_regs, rcx);
	OFFSET(KvmVcpuAbi.Regs, RBP, struct kvm_regs, rbp);
	OFFSET(KvmVcpuAbi.Regs, RIP, struct kvm_regs, rip);
	OFFSET(KvmVcpuAbi.Regs, RFLAGS, struct kvm_regs, rflags);
	SIZE(KvmVcpuAbi.Sregs, struct kvm_sregs);
	OFFSET(KvmVcpuAbi.Sregs, CS, struct kvm_sregs, cs);
	OFFSET(KvmVcpuAbi.Sregs, DS, struct kvm_sregs, ds);
	OFFSET(KvmVcpuAbi.Sregs, ES, struct kvm_sregs, es);
	OFFSET(KvmVcpuAbi.Sregs, FS, struct kvm_sregs, fs);
	OFFSET(KvmVcpuAbi.Sregs, GS, struct kvm_sregs, gs);
	OFFSET(KvmVcpuAbi.Sregs, SS, struct kvm_sregs, ss);
	OFFSET(KvmVcpuAbi.Sregs, CR0, struct kvm_sregs, cr0);
	OFFSET(KvmVcpuAbi.Sregs, CR3, struct kvm_sregs, cr3);
	OFFSET(KvmVcpuAbi.Sregs, CR4, struct kvm_sregs, cr4);
	OFFSET(KvmVcpuAbi.Sregs, EFER, struct kvm_sregs, efer);
	SIZE(KvmVcpuAbi.Segment, struct kvm_segment);
	OFFSET(KvmVcpuAbi.Segment, BASE, struct kvm_segment, base);
	OFFSET(KvmVcpuAbi.Segment, LIMIT, struct kvm_segment, limit);
	OFFSET(KvmVcpuAbi.Segment, SELECTOR, struct kvm_segment, selector);
	OFFSET(KvmVcpuAbi.Segment, TYPE, struct kvm_segment, type);
	OFFSET(KvmVcpuAbi.Segment, PRESENT, struct kvm_segment, present);
	OFFSET(KvmVcpuAbi.Segment, DPL, struct kvm_segment, dpl);
	OFFSET(KvmVcpuAbi.Segment, DB, struct kvm_segment, db);
	OFFSET(KvmVcpuAbi.Segment, S, struct kvm_segment, s);
	OFFSET(KvmVcpuAbi.Segment, L, struct kvm_segment, l);
	OFFSET(KvmVcpuAbi.Segment, G, struct kvm_segment, g);
	OFFSET(KvmVcpuAbi.SignalMask, LEN, struct kvm_signal_mask, len);
	OFFSET(KvmVcpuAbi.SignalMask, SIGSET, struct kvm_signal_mask, sigset);
	/* Not in the headers for programs: 64 signals, a bit each (asm/signal.h). */
	VALUE(KvmVcpuAbi.SignalMask, KERNEL_SIGSET_SIZE, 64 / 8);
	SIZE(KvmVcpuAbi.GuestDebug, struct kvm_guest_debug);
	OFFSET(KvmVcpuAbi.GuestDebug, CONTROL, struct kvm_guest_debug, control);
	OFFSET(KvmVcpuAbi.Msrs, NMSRS, struct kvm_msrs, nmsrs);
	OFFSET(KvmVcpuAbi.Msrs, ENTRIES, struct kvm_msrs, entries);
	SIZE(KvmVcpuAbi.MsrEntry, struct kvm_msr_entry);
	OFFSET(KvmVcpuAbi.MsrEntry, INDEX, struct kvm_msr_entry, index);
	OFFSET(KvmVcpuAbi.MsrEntry, DATA, struct kvm_msr_entry, data);
	OFFSET(KvmVcpuAbi.Cpuid2, NENT, struct kvm_cpuid2, nent);
	OFFSET(KvmVcpuAbi.Cpuid2, ENTRIES, struct kvm_cpuid2, entries);
	SIZE(KvmVcpuAbi.CpuidEntry2, struct kvm_cpuid_entry2);
	OFFSET(KvmVcpuAbi.CpuidEntry2, FUNCTION, struct kvm_cpuid_entry2, function);
	OFFSET(KvmVcpuAbi.CpuidEntry2, EAX, struct kvm_cpuid_entry2, eax);
}

static void fuse_numbers(void)
{
	MACRO(FuseAbi, FUSE_KERNEL_VERSION);
	MACRO(FuseAbi, FUSE_ROOT_ID);
	/* Not in the headers for programs (fs/fuse/fuse_i.h). */
	VALUE(FuseAbi, FUSE_BUFFER_HEADER_SIZE, 0x1000);
	MACRO(FuseAbi, FUSE_LOOKUP);
	MACRO(FuseAbi, FUSE_FORGET);
	MACRO(FuseAbi, FUSE_GETATTR);
	MACRO(FuseAbi, FUSE_SETATTR);
	MACRO(FuseAbi, FUSE_OPEN);
	MACRO(FuseAbi, FUSE_READ);
	MACRO(FuseAbi, FUSE_WRITE);
	MACRO(FuseAbi, FUSE_STATFS);
	MACRO(FuseAbi, FUSE_RELEASE);
	MACRO(FuseAbi, FUSE_INIT);
	MACRO(FuseAbi, FUSE_OPENDIR);
	MACRO(FuseAbi, FUSE_INTERRUPT);
	MACRO(FuseAbi, FUSE_DESTROY);
	MACRO(FuseAbi, FUSE_BATCH_FORGET);
	MACRO(FuseAbi, FUSE_BIG_WRITES);
	MACRO(FuseAbi, FUSE_ABORT_ERROR);
	MACRO(FuseAbi, FUSE_MAX_PAGES);
	MACRO(FuseAbi, FOPEN_KEEP_CACHE);
	MACRO(FuseAbi, FOPEN_NOFLUSH);
	MACRO(FuseAbi, FUSE_WRITE_CACHE);
	MACRO(FuseAbi, FUSE_NOTIFY_INVAL_INODE);
}

static void fuse_structs(void)
{
	SIZE(FuseAbi.InHeader, struct fuse_in_header);
	OFFSET(FuseAbi.InHeader, LEN, struct fuse_in_header, len);
	OFFSET(FuseAbi.InHeader, OPCODE, struct fuse_in_header, opcode);
	OFFSET(FuseAbi.InHeader, UNIQUE, struct fuse_in_header, unique);
	OFFSET(FuseAbi.InHeader, NODEID, struct fuse_in_header, nodeid);
	SIZE(FuseAbi.OutHeader, struct fuse_out_header);
	OFFSET(FuseAbi.OutHeader, LEN, struct fuse_out_header, len);
	OFFSET(FuseAbi.OutHeader, ERROR, struct fuse_out_header, error);
	OFFSET(FuseAbi.OutHeader, UNIQUE, struct fuse_out_header, unique);
	VALUE(FuseAbi.InitIn, MIN_SIZE, offsetof(struct fuse_init_in, flags) + 4);
	OFFSET(FuseAbi.InitIn, MAJOR, struct fuse_init_in, major);
	OFFSET(FuseAbi.InitIn, MINOR, struct fuse_init_in, minor);
	OFFSET(FuseAbi.InitIn, MAX_READAHEAD, struct fuse_init_in, max_readahead);
	OFFSET(FuseAbi.InitIn, FLAGS, struct fuse_init_in, flags);
	SIZE(FuseAbi.InitOut, struct fuse_init_out);
	OFFSET(FuseAbi.InitOut, MAJOR, struct fuse_init_out, major);
	OFFSET(FuseAbi.InitOut, MINOR, struct fuse_init_out, minor);
	OFFSET(FuseAbi.InitOut, MAX_READAHEAD, struct fuse_init_out, max_readahead);
	OFFSET(FuseAbi.InitOut, FLAGS, struct fuse_init_out, flags);
	OFFSET(FuseAbi.InitOut, MAX_BACKGROUND, struct fuse_init_out, max_background);
	OFFSET(FuseAbi.InitOut, CONGESTION_THRESHOLD, struct fuse_init_out, congestion_threshold);
	OFFSET(FuseAbi.InitOut, MAX_WRITE, struct fuse_init_out, max_write);
	OFFSET(FuseAbi.InitOut, TIME_GRAN, struct fuse_init_out, time_gran);
	OFFSET(FuseAbi.InitOut, MAX_PAGES, struct fuse_init_out, max_pages);
	SIZE(FuseAbi.Attr, struct fuse_attr);
	OFFSET(FuseAbi.Attr, INO, struct fuse_attr, ino);
	OFFSET(FuseAbi.Attr, SIZE_BYTES, struct fuse_attr, size);
	OFFSET(FuseAbi.Attr, BLOCKS, struct fuse_attr, blocks);
	OFFSET(FuseAbi.Attr, MODE, struct fuse_attr, mode);
	OFFSET(FuseAbi.Attr, NLINK, struct fuse_attr, nlink);
	OFFSET(FuseAbi.Attr, UID, struct fuse_attr, uid);
	OFFSET(FuseAbi.Attr, GID, struct fuse_attr, gid);
	OFFSET(FuseAbi.Attr, BLKSIZE, struct fuse_attr, blksize);
	SIZE(FuseAbi.EntryOut, struct fuse_entry_out);
	OFFSET(FuseAbi.EntryOut, NODEID, struct fuse_entry_out, nodeid);
	OFFSET(FuseAbi.EntryOut, GENERATION, struct fuse_entry_out, generation);
	OFFSET(FuseAbi.EntryOut, ENTRY_VALID, struct fuse_entry_out, entry_valid);
	OFFSET(FuseAbi.EntryOut, ATTR_VALID, struct fuse_entry_out, attr_valid);
	OFFSET(FuseAbi.EntryOut, ATTR, struct fuse_entry_out, attr);
	SIZE(FuseAbi.AttrOut, struct fuse_attr_out);
	OFFSET(FuseAbi.AttrOut, ATTR_VALID, struct fuse_attr_out, attr_valid);
	OFFSET(FuseAbi.AttrOut, ATTR, struct fuse_attr_out, attr);
	SIZE(FuseAbi.OpenIn, struct fuse_open_in);
	OFFSET(FuseAbi.OpenIn, FLAGS, struct fuse_open_in, flags);
	SIZE(FuseAbi.OpenOut, struct fuse_open_out);
	OFFSET(FuseAbi.OpenOut, FH, struct fuse_open_out, fh);
	OFFSET(FuseAbi.OpenOut, OPEN_FLAGS, struct fuse_open_out, open_flags);
	SIZE(FuseAbi.ReadIn, struct fuse_read_in);
	OFFSET(FuseAbi.ReadIn, FH, struct fuse_read_in, fh);
	OFFSET(FuseAbi.ReadIn, OFFSET, struct fuse_read_in, offset);
	OFFSET(FuseAbi.ReadIn, SIZE_BYTES, struct fuse_read_in, size);
	OFFSET(FuseAbi.ReadIn, FLAGS, struct fuse_read_in, flags);
	SIZE(FuseAbi.WriteIn, struct fuse_write_in);
	OFFSET(FuseAbi.WriteIn, FH, struct fuse_write_in, fh);
	OFFSET(FuseAbi.WriteIn, OFFSET, struct fuse_write_in, offset);
	OFFSET(FuseAbi.WriteIn, SIZE_BYTES, struct fuse_write_in, size);
	OFFSET(FuseAbi.WriteIn, WRITE_FLAGS, struct fuse_write_in, write_flags);
	SIZE(FuseAbi.WriteOut, struct fuse_write_out);
	OFFSET(FuseAbi.WriteOut, SIZE_BYTES, struct fuse_write_out, size);
	SIZE(FuseAbi.StatfsOut, struct fuse_statfs_out);
	OFFSET(FuseAbi.StatfsOut, BSIZE, struct fuse_statfs_out, st.bsize);
	OFFSET(FuseAbi.StatfsOut, NAMELEN, struct fuse_statfs_out, st.namelen);
	SIZE(FuseAbi.ForgetIn, struct fuse_forget_in);
	OFFSET(FuseAbi.ForgetIn, NLOOKUP, struct fuse_forget_in, nlookup);
	SIZE(FuseAbi.BatchForgetIn, struct fuse_batch_forget_in);
	OFFSET(FuseAbi.BatchForgetIn, COUNT, struct fuse_batch_forget_in, count);
	SIZE(FuseAbi.ForgetOne, struct fuse_forget_one);
	OFFSET(FuseAbi.ForgetOne, NODEID, struct fuse_forget_one, nodeid);
	OFFSET(FuseAbi.ForgetOne, NLOOKUP, struct fuse_forget_one, nlookup);
	SIZE(FuseAbi.NotifyInvalInodeOut, struct fuse_notify_inval_inode_out);
	OFFSET(FuseAbi.NotifyInvalInodeOut, INO, struct fuse_notify_inval_inode_out, ino);
	OFFSET(FuseAbi.NotifyInvalInodeOut, OFF, struct fuse_notify_inval_inode_out, off);
	OFFSET(FuseAbi.NotifyInvalInodeOut, LEN, struct fuse_notify_inval_inode_out, len);
}

int main(void)
{
	linux_abi();
	file_abi();
	socket_abi();
	userfaultfd_numbers();
	userfaultfd_structs();
	kvm_numbers();
	kvm_structs();
	vcpu_numbers();
	vcpu_structs();
	fuse_numbers();
	fuse_structs();
	return 0;
}
