/// BAR regions as files of a file system of our own, for a guest that another process runs.
///
/// A client maps a [BarFile][dev.mdev.core.engine.barfile.BarFile] with `MAP_SHARED`. The kernel
/// keeps pages of the file in its page cache, and asks this process for the others by messages on
/// `/dev/fuse`. So the first access to a page is a READ; what a client stored comes as a WRITE; and
/// a notice (`NOTIFY_INVAL_INODE`) takes pages out of the cache and so from all clients.
///
/// ```
/// client              kernel            reader thread         thread of the file      driver
/// load, store
///   page fault -----> READ page ------> absent: hand over --> HostMm.handleFault --> validate...
///   sleeps                                                    BarPageTable.map <---- grant
///   continues <-----  page cached <---- the content --------- BarPages.grant
/// ```
///
/// The page cache has *copies*. While a page is granted and cached, the newest content is there:
/// `HostPages` is the [PageHome][dev.mdev.core.hostmm.PageHome] through which the host reads and
/// writes it.
///
/// ## Why nothing waits forever
///
/// A READ of a page holds the page's lock in the kernel until its answer. To drop a page from the
/// cache waits for that lock, and for WRITEs. These rules keep the waits in order:
///
/// 1. *Readers never wait.* A reader thread answers READs of all pages that are not absent, and all
///    WRITEs, at once. It takes only the lock of `PageStates`, a leaf that is never held during a
///    system call, and runs no driver code. So whatever another thread waits for in the kernel,
///    these answers come.
/// 2. *A page that is granted, leaving or refused has no READ that waits for a driver.* A grant
///    answers the READs of its pages before `HostPageTable.map` returns (`BarPages.grant`), under
///    the vma's entries lock; a revocation takes that lock. Without this, a revocation (which holds
///    the entries lock) would wait for the page's lock, which a READ holds, whose thread waits for
///    the entries lock.
/// 3. *Only pages that are granted or refused are dropped.* A revocation of a page whose READ waits
///    for the driver leaves it alone: `PendingFill` makes the vma discard the late answer. So
///    driver code may revoke in its turn while other READs wait for that turn.
/// 4. *A READ that comes while its page is dropped is answered with the page's content*, and not
///    delayed: see `Eviction`. Delayed, it would keep the page's lock from the thread that drops
///    it.
/// 5. *Only a page that is out of the cache is held.* A READ of a held page does wait: for a copy
///    of memory, by a thread that waits for nothing.
/// 6. *No thread of ours takes the lock of the inode.* A client can hold it for as long as it
///    likes: in a `write(2)` whose buffer is a page that never comes. So there is no `pwrite(2)`
///    and no `fdatasync(2)` here. `pread(2)`, `sync_file_range(2)` and notices do without that
///    lock.
/// 7. *No thread of ours maps the file.* A thread that sleeps in a page fault would hold the lock
///    of this process's memory map, which a garbage collection needs, which stops the readers.
/// 8. *Reads are not asynchronous* (`FUSE_ASYNC_READ`): else WRITEs would queue behind READs that
///    wait for drivers, in a queue of bounded length.
///
/// A first access that the driver does not answer in time is refused. A thread that drops pages
/// gives up after a minute, which only a broken kernel exhausts.
///
/// ## Why no store is lost
///
/// The kernel unmaps a page from all clients before it sends its last WRITE, and drops it after the
/// answer. The page keeps its physical page for all that time, so each WRITE goes where the page
/// was granted. A page is never stored into the cache by us (`NOTIFY_STORE`): that would overwrite
/// what a client has stored since. Pages of a grant that were not touched get into the cache by
/// reads of many pages, which replace nothing.
///
/// ## What a READ does not say
///
/// The kernel reads ahead. A READ of many pages is no access: it is answered if all are granted,
/// and refused otherwise, and the kernel asks again for the touched page. A READ of one page counts
/// as an access. The kernel sends one without an access if it reads ahead and only one page of the
/// window is missing from its cache, for instance after a revocation of that page alone. The driver
/// is then asked for a page that nobody touched, within 128 KiB of an access.
@NullMarked
package dev.mdev.core.engine.barfile;

import org.jspecify.annotations.NullMarked;
