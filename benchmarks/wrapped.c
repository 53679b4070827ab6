/* Both ends of a wrapped mail session, for unbreakable.py: what the recorder stands between.
 *
 *   wrapped serve             on descriptors 0 and 1: a line is answered with 60 bytes; "B N" with N bytes in long writes
 *   wrapped talk SECONDS FD…  says lines of 30 bytes on each descriptor; prints count, seconds, p50 and p99 in µs
 *   wrapped bulk BYTES FD     asks for so many bytes; prints the seconds
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ASK "b NOOP of thirty bytes exact\r\n"
#define ANSWER "* 23 EXISTS and some more words\r\nb OK NOOP done (0.001 s).\r\n"
#define PIECE 65536

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {fd, POLLOUT, 0};
            poll(&p, 1, -1);
            continue;
        }
        if (n <= 0)
            exit(0);
        data += n, size -= n;
    }
}

static ssize_t some(int fd, char *data, size_t size)
{
    for (;;) {
        ssize_t n = read(fd, data, size);
        if (n >= 0 || errno != EAGAIN)
            return n;
        struct pollfd p = {fd, POLLIN, 0};
        poll(&p, 1, -1);
    }
}

static int serve(void)
{
    static char piece[PIECE], in[4096];
    for (size_t at = 0; at < PIECE; at++)
        piece[at] = at % 78 == 76 ? '\r' : at % 78 == 77 ? '\n' : 'A' + at % 26;
    ssize_t n;
    while ((n = some(0, in, sizeof in - 1)) > 0) {
        in[n] = 0;
        if (in[0] == 'B')
            for (long long left = atoll(in + 2); left > 0; left -= PIECE)
                all(1, piece, left < PIECE ? left : PIECE);
        else
            all(1, ANSWER, strlen(ANSWER));
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int talk(double seconds, int count, char **words)
{
    static char in[4096];
    static double since[65536];
    static size_t got[65536];
    double *times = malloc(sizeof(double) * 8000000), begin = 0;
    size_t done = 0;
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        int fd = atoi(words[i]);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        fcntl(fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
        since[fd] = now();
        all(fd, ASK, 30);
    }
    begin = now() + 0.3; /* to warm up */
    double end = begin + seconds, at = 0;
    while (at < end) {
        struct epoll_event ready[256];
        int n = epoll_wait(poll, ready, 256, 5000);
        if (n <= 0)
            return 1;
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            ssize_t size = read(fd, in, sizeof in);
            if (size <= 0)
                return 1;
            got[fd] += size;
            if (got[fd] < strlen(ANSWER))
                continue;
            got[fd] = 0;
            at = now();
            if (at >= begin && done < 8000000)
                times[done++] = at - since[fd];
            since[fd] = at;
            all(fd, ASK, 30);
        }
    }
    qsort(times, done, sizeof(double), by_size);
    printf("%zu %f %f %f\n", done, seconds, times[done / 2] * 1e6, times[done - 1 - done / 100] * 1e6);
    return 0;
}

static int bulk(long long size, int fd)
{
    static char in[1 << 20];
    char ask[40];
    double begin = now();
    all(fd, ask, snprintf(ask, sizeof ask, "B %lld\r\n", size));
    while (size > 0) {
        ssize_t n = some(fd, in, sizeof in);
        if (n <= 0)
            return 1;
        size -= n;
    }
    printf("%f\n", now() - begin);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "serve"))
        return serve();
    if (argc > 3 && !strcmp(argv[1], "talk"))
        return talk(atof(argv[2]), argc - 3, argv + 3);
    if (argc > 3 && !strcmp(argv[1], "bulk"))
        return bulk(atoll(argv[2]), atoi(argv[3]));
    return 2;
}
