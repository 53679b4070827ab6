/* The load generator of the gateway benchmark: a small IMAP server to stand behind a gateway, and clients before it.
 *
 * Knows: as much IMAP as it takes to log in, to fetch and to do nothing; sockets, TLS, a clock. Must not know: what
 * stands between the two, nor how its CPU is measured. It is C so that it is never what limits the throughput.
 *
 *   load serve FILE                       a server on a free port of 127.0.0.1; every message it has is FILE
 *   load fetch PORT tls|plain COUNT [SAVE]    one client fetches COUNT messages; SAVE gets all it received
 *   load talk PORT tls|plain CLIENTS SECONDS  clients that send NOOP, each again as soon as it is answered
 *
 * The server prints its port. A client prints "ready" when all its connections have logged in, waits for a line on
 * standard input, works, prints its figures, and keeps its connections until standard input ends. So the one who
 * measures can read the clock of the gateway at the right moments. load.py is the same for machines without OpenSSL's
 * headers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536         /* bytes per write of the server */
#define SAMPLES (1 << 23)   /* round trips whose time is kept */
#define WARM_UP 5           /* round trips of each connection before the clock starts */
#define NOOP "b NOOP of a usual length \r\n"
#define NOOP_ANSWER "* 23 EXISTS\r\n* 1 RECENT\r\nb OK NOOP completed (0.001 s).\r\n"
#define LOGIN "a LOGIN load \"a secret for the load\"\r\n"
#define DONE " OK Fetch completed.\r\n"

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void unblock(int fd) {
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) die("fcntl");
}

static void no_delay(int fd) {
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("TCP_NODELAY");
}

static void watch(int poll, int fd, void *data, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(poll, how, fd, &event) < 0) die("epoll_ctl");
}

/* -- the server ------------------------------------------------------------------------------------------------- */

static char *message;
static size_t message_size;

struct session {
    int fd, waiting;               /* waiting: for room in the socket */
    char line[1024], small[512], tag[64];
    size_t line_size, small_at, small_size;
    unsigned next, last;           /* messages to be sent: next..last */
    size_t at;                     /* sent of the present message */
    int inside;                    /* between the head and the tail of a message */
};

static void say(struct session *s, const char *text) {
    size_t size = strlen(text);
    if (s->small_size + size > sizeof s->small) die("answers");
    memcpy(s->small + s->small_size, text, size);
    s->small_size += size;
}

static int put(struct session *s, const char *data, size_t size, size_t *at, int flags) {
    while (*at < size) {
        size_t piece = size - *at < PIECE ? size - *at : PIECE;
        ssize_t sent = send(s->fd, data + *at, piece, MSG_NOSIGNAL | flags);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        *at += sent;
    }
    return 1;
}

/* Sends what is to be sent: 1 when all went, 0 when the socket is full, -1 when the client is gone. */
static int pump(struct session *s) {
    char text[128];
    for (;;) {
        int done = put(s, s->small, s->small_size, &s->small_at, s->next <= s->last ? MSG_MORE : 0);
        if (done <= 0) return done;
        s->small_at = s->small_size = 0;
        if (s->inside) {
            done = put(s, message, message_size, &s->at, 0);
            if (done <= 0) return done;
            s->inside = 0;
            say(s, ")\r\n");
            if (s->next++ == s->last) {
                snprintf(text, sizeof text, "%s" DONE, s->tag);
                say(s, text);
            }
        } else if (s->next <= s->last) {
            snprintf(text, sizeof text, "* %u FETCH (BODY[] {%zu}\r\n", s->next, message_size);
            say(s, text);
            s->inside = 1;
            s->at = 0;
        } else {
            return 1;
        }
    }
}

static void command(struct session *s, char *line) {
    char verb[32], text[256];
    unsigned count;
    if (sscanf(line, "%63s %31s", s->tag, verb) != 2) die("command");
    if (!strcmp(verb, "NOOP")) {
        say(s, NOOP_ANSWER);
    } else if (!strcmp(verb, "FETCH") && sscanf(line, "%*s %*s 1:%u", &count) == 1) {
        s->next = 1;
        s->last = count;
    } else {
        snprintf(text, sizeof text, "%s OK [CAPABILITY IMAP4rev1] %s completed.\r\n", s->tag, verb);
        say(s, text);
    }
}

static int hear(struct session *s) {
    ssize_t got = recv(s->fd, s->line + s->line_size, sizeof s->line - s->line_size - 1, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN ? 1 : -1;
    s->line_size += got;
    s->line[s->line_size] = 0;
    char *end;
    while ((end = strchr(s->line, '\n')) && s->next > s->last) {
        *end++ = 0;
        command(s, s->line);
        s->line_size -= end - s->line;
        memmove(s->line, end, s->line_size + 1);
    }
    return 1;
}

static void greet(int poll, int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    unblock(fd);
    no_delay(fd);
    struct session *s = calloc(1, sizeof *s);
    s->fd = fd;
    s->next = 1;
    say(s, "* OK [CAPABILITY IMAP4rev1] ready.\r\n");
    pump(s);
    watch(poll, fd, s, EPOLLIN, EPOLL_CTL_ADD);
}

static void serve(const char *file) {
    FILE *in = fopen(file, "rb");
    struct stat about;
    if (!in || fstat(fileno(in), &about) < 0) die(file);
    message_size = about.st_size;
    message = malloc(message_size);
    if (!message || fread(message, 1, message_size, in) != message_size) die(file);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    if (bind(listener, (void *)&where, size) < 0 || listen(listener, 1024) < 0) die("listen");
    getsockname(listener, (void *)&where, &size);
    printf("%d\n", ntohs(where.sin_port));
    fflush(stdout);
    watch(poll, listener, &listener, EPOLLIN, EPOLL_CTL_ADD);
    watch(poll, 0, NULL, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        struct epoll_event ready[64];
        int count = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            struct session *s = ready[i].data.ptr;
            if (!s) exit(0); /* whoever started us has gone */
            if (ready[i].data.ptr == &listener) {
                greet(poll, listener);
                continue;
            }
            int done = s->waiting ? 1 : hear(s);
            if (done > 0) done = pump(s);
            if (done < 0) {
                close(s->fd);
                free(s);
            } else if (s->waiting == done) {
                s->waiting = !done;
                watch(poll, s->fd, s, s->waiting ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
            }
        }
    }
}

/* -- the clients ------------------------------------------------------------------------------------------------ */

struct client {
    int fd;
    SSL *tls;
    double since;
    size_t got;
};

static ssize_t take(struct client *c, char *data, size_t size) {
    ssize_t got;
    if (!c->tls) {
        got = recv(c->fd, data, size, 0);
        return got < 0 && errno == EAGAIN ? -1 : got > 0 ? got : -2;
    }
    got = SSL_read(c->tls, data, size);
    if (got > 0) return got;
    return SSL_get_error(c->tls, got) == SSL_ERROR_WANT_READ ? -1 : -2;
}

static void give(struct client *c, const char *text) {
    int size = strlen(text);
    if ((c->tls ? SSL_write(c->tls, text, size) : send(c->fd, text, size, 0)) != size) die("send");
}

/* Reads, on a blocking socket, until a line begins with the three bytes of mark. */
static void expect(struct client *c, const char *mark, FILE *save) {
    char data[4096];
    size_t size = 0;
    for (;;) {
        ssize_t got = take(c, data + size, 1);
        if (got < 0) die("connection");
        if (save) fwrite(data + size, 1, 1, save);
        if (data[size++] != '\n') continue;
        if (size > 3 && !memcmp(data, mark, 3)) return;
        size = 0;
    }
}

static void enter(struct client *c, int port, SSL_CTX *context, FILE *save) {
    struct sockaddr_in where = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    struct timeval limit = {20, 0};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(c->fd, (void *)&where, sizeof where) < 0) die("connect");
    no_delay(c->fd);
    c->tls = NULL;
    if (context) {
        c->tls = SSL_new(context);
        SSL_set_fd(c->tls, c->fd);
        if (SSL_connect(c->tls) != 1) die("TLS handshake");
    }
    expect(c, "* O", save);
    give(c, LOGIN);
    expect(c, "a O", save);
}

static SSL_CTX *tls_or_not(const char *word) {
    if (strcmp(word, "tls")) return NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384"); /* the same for everybody who is measured */
    SSL_CTX_set_read_ahead(context, 1);
    return context;
}

static void ready_go(void) {
    char line[16];
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(1);
}

static void stay(void) {
    fflush(stdout);
    while (getchar() != EOF) {
    }
    _exit(0);
}

static void fetch(int port, SSL_CTX *context, unsigned count, const char *file) {
    static char data[262144];
    char text[64], tail[64];
    const size_t keep = strlen(DONE);
    FILE *save = file ? fopen(file, "wb") : NULL;
    struct client c;
    enter(&c, port, context, save);
    ready_go();
    double begin = now();
    uint64_t total = 0;
    snprintf(text, sizeof text, "c FETCH 1:%u (BODY[])\r\n", count);
    give(&c, text);
    memset(tail, 0, sizeof tail);
    for (;;) {
        ssize_t got = take(&c, data, sizeof data);
        if (got < 0) die("connection");
        if (save) fwrite(data, 1, got, save);
        total += got;
        size_t part = (size_t)got < keep ? (size_t)got : keep;
        memmove(tail, tail + part, keep - part);
        memcpy(tail + keep - part, data + got - part, part);
        if (!memcmp(tail, DONE, keep)) break;
    }
    if (save) fclose(save);
    printf("%llu %.6f\n", (unsigned long long)total, now() - begin);
    stay();
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Takes what came. 1: the answer is complete. */
static int answered(struct client *c) {
    char data[4096];
    for (;;) {
        ssize_t got = take(c, data, sizeof data);
        if (got == -2) die("connection");
        if (got < 0) return 0;
        c->got += got;
        if (c->got == strlen(NOOP_ANSWER)) break;
        if (c->got > strlen(NOOP_ANSWER)) die("answer");
    }
    c->got = 0;
    return 1;
}

static uint32_t *times;

/* Every client talks until the limit: round trips of each, or seconds. Gives the number of round trips. */
static size_t chat(int poll, struct client *clients, int count, size_t trips, double seconds) {
    size_t done = 0;
    double begin = now(), end = begin + seconds, at;
    int busy = count;
    size_t quota = trips * count;
    for (int i = 0; i < count; i++) {
        clients[i].since = now();
        give(&clients[i], NOOP);
    }
    while (busy) {
        struct epoll_event ready[256];
        int found = epoll_wait(poll, ready, 256, 20000);
        if (found <= 0) die("no answer");
        for (int i = 0; i < found; i++) {
            struct client *c = ready[i].data.ptr;
            if (!answered(c)) continue;
            at = now();
            if (done < SAMPLES) times[done] = (at - c->since) * 1e9;
            done++;
            if (trips ? done + busy > quota : at >= end) {
                busy--;
                continue;
            }
            c->since = at;
            give(c, NOOP);
        }
    }
    return done;
}

static void talk(int port, SSL_CTX *context, int count, double seconds) {
    struct client *clients = calloc(count, sizeof *clients);
    int poll = epoll_create1(0);
    times = calloc(SAMPLES, sizeof *times);
    for (int i = 0; i < count; i++) {
        enter(&clients[i], port, context, NULL);
        unblock(clients[i].fd);
        watch(poll, clients[i].fd, &clients[i], EPOLLIN, EPOLL_CTL_ADD);
    }
    chat(poll, clients, count, WARM_UP, 0);
    ready_go();
    double begin = now();
    size_t done = chat(poll, clients, count, 0, seconds);
    double taken = now() - begin;
    size_t kept = done < SAMPLES ? done : SAMPLES;
    qsort(times, kept, sizeof *times, by_size);
    printf("%zu %.6f %.2f %.2f\n", done, taken, times[kept / 2] / 1e3, times[kept - 1 - kept / 100] / 1e3);
    stay();
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "serve")) serve(argv[2]);
    if (argc >= 5 && !strcmp(argv[1], "fetch"))
        fetch(atoi(argv[2]), tls_or_not(argv[3]), atoi(argv[4]), argc > 5 ? argv[5] : NULL);
    if (argc == 6 && !strcmp(argv[1], "talk")) talk(atoi(argv[2]), tls_or_not(argv[3]), atoi(argv[4]), atof(argv[5]));
    fprintf(stderr, "usage: load serve FILE | fetch PORT tls|plain COUNT [SAVE] | talk PORT tls|plain CLIENTS SECONDS\n");
    return 2;
}
