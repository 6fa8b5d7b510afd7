/*
 * Stands in for the kernel's DMA heap, which libcamera takes its image buffers from and which few machines but a
 * Raspberry Pi have: /dev/dma_heap/linux,cma can be opened, and what is allocated from it is plain shared memory.
 *
 * Preloaded (LD_PRELOAD) into a process with libcamera. Everything else that is opened or asked goes to the kernel. With
 * DMA_HEAP_IS_FULL in the environment nothing can be allocated.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAP "/dev/dma_heap/linux,cma"

static int open_or_pass(const char *call, const char *path, int flags, mode_t mode)
{
    if (!strcmp(path, HEAP))
        return memfd_create("dma-heap", MFD_CLOEXEC);
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, call);
    return next(path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int descriptor = open_or_pass("open", path, flags, mode_of(flags, arguments));
    va_end(arguments);
    return descriptor;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int descriptor = open_or_pass("open64", path, flags, mode_of(flags, arguments));
    va_end(arguments);
    return descriptor;
}

static int allocate(struct dma_heap_allocation_data *wanted)
{
    if (getenv("DMA_HEAP_IS_FULL")) {
        errno = ENOMEM;
        return -1;
    }
    int buffer = memfd_create("dma-buf", MFD_CLOEXEC);
    if (buffer < 0)
        return -1;
    if (ftruncate(buffer, wanted->len)) {
        int reason = errno;
        close(buffer);
        errno = reason;
        return -1;
    }
    wanted->fd = buffer;
    return 0;
}

int ioctl(int descriptor, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    switch (request) {
    case DMA_HEAP_IOCTL_ALLOC:
        return allocate(argument);
    case DMA_BUF_SET_NAME:
    case DMA_BUF_IOCTL_SYNC: /* shared memory has no cache of its own that could be stale */
        return 0;
    }
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return next(descriptor, request, argument);
}
