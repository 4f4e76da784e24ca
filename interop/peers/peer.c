/* A DTLS 1.3 endpoint of some stack (peer.h), controlled by lines of text.
 *
 *     peer client port=N ca=FILE [option=value]...
 *     peer server cert=FILE key=FILE [option=value]...
 *
 * Both sides take `send HEX`, `update` (new keys for both directions), `export LABEL BYTES` and
 * `close`; a client also takes `connect`, `resume` (with the latest ticket) and `early HEX` (the
 * same, with early data). The end of standard input ends the program.
 *
 * What happens is told in lines, too:
 *
 *     listening PORT
 *     connected version=V suite=S group=G resumed=0|1 early=none|accepted|rejected alpn=P cid=HEX
 *     data HEX | early HEX | ticket | exported HEX | closed | failed TEXT
 *
 * A server serves one client after the other. A client's tickets, and a server's keys for them,
 * last as long as the program.
 */

#include "peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 2 * LARGEST + 64, LARGEST_EXPORT = 256 };

struct options options;
int is_server;

static const struct {
    const char *name;
    const char **value;
} option_table[] = {
    {"port", &options.port},     {"cert", &options.cert},       {"key", &options.key},
    {"ca", &options.ca},         {"name", &options.name},       {"suites", &options.suites},
    {"groups", &options.groups}, {"shares", &options.shares},   {"cookie", &options.cookie},
    {"mtu", &options.mtu},       {"cid", &options.cid},         {"psk", &options.psk},
    {"alpn", &options.alpn},     {"early", &options.early},     {"keylog", &options.keylog},
    {"version", &options.version}, {"dhe", &options.dhe},
};

/* Where a server listens, or a client's server. */
static struct sockaddr_in address;
/* A server's stays open between two connections. */
static int descriptor = -1;
static enum { IDLE, SHAKING_HANDS, CONNECTED } state = IDLE;

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "peer: %s\n", what);
    exit(2);
}

void to_hex(char *text, const unsigned char *data, int size)
{
    text[0] = '\0';
    for (int i = 0; i < size; i++)
        sprintf(text + 2 * i, "%02x", data[i]);
}

void say_hex(const char *what, const unsigned char *data, int size)
{
    static char text[2 * LARGEST + 1];
    to_hex(text, data, size);
    say("%s %s", what, text);
}

int from_hex(const char *text, unsigned char *data, int room)
{
    int size = (int)strlen(text) / 2;
    require(size <= room, "too much hex");
    for (int i = 0; i < size; i++) {
        unsigned int byte;
        require(sscanf(text + 2 * i, "%2x", &byte) == 1, "not hex");
        data[i] = (unsigned char)byte;
    }
    return size;
}

void log_key(const char *line)
{
    FILE *file = fopen(options.keylog, "a");
    require(file != NULL, "the key log cannot be written");
    fprintf(file, "%s\n", line);
    fclose(file);
}

/* ---- one connection ---- */

static void open_socket(void)
{
    int yes = 1;
    socklen_t size = sizeof address;
    descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    require(descriptor >= 0, "no socket");
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    if (!is_server) {
        require(connect(descriptor, (struct sockaddr *)&address, size) == 0, "no way there");
        return;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    require(bind(descriptor, (struct sockaddr *)&address, size) == 0, "the port is taken");
    getsockname(descriptor, (struct sockaddr *)&address, &size);
}

static void end_connection(void)
{
    stack_close();
    close(descriptor);
    descriptor = -1;
    state = IDLE;
    if (is_server)
        open_socket();
}

static void fail(void)
{
    end_connection();
    say("failed %s", stack_error());
}

static void say_connected(void)
{
    struct agreement agreed = {.early = "none"};
    stack_agreement(&agreed);
    say("connected version=%s suite=%s group=%s resumed=%d early=%s alpn=%s cid=%s",
        agreed.version, agreed.suite, agreed.group, agreed.resumed, agreed.early, agreed.alpn,
        agreed.cid);
}

static void read_data(void)
{
    unsigned char data[LARGEST];
    int size;
    while ((size = stack_read(data, sizeof data)) >= 0)
        say_hex("data", data, size);
    if (!is_server && stack_has_new_ticket())
        say("ticket");
    if (size == CLOSED) {
        stack_shut_down();
        end_connection();
        say("closed");
    }
    else if (size == FAILED)
        fail();
}

/* Do what the network or the time has made possible. */
static void step(void)
{
    if (state == SHAKING_HANDS) {
        int result = stack_shake_hands();
        if (result == FAILED)
            fail();
        else if (result == 0) {
            state = CONNECTED;
            say_connected();
        }
    }
    if (state == CONNECTED)
        read_data();
}

/* ---- commands ---- */

static void connect_to_server(int resume, const char *early_hex)
{
    unsigned char data[LARGEST];
    int size = early_hex == NULL ? 0 : from_hex(early_hex, data, sizeof data);
    open_socket();
    stack_open(descriptor);
    state = SHAKING_HANDS;
    if (resume && stack_resume(early_hex == NULL ? NULL : data, size) == FAILED)
        fail();
    else
        step();
}

static void accept_client(void)
{
    struct sockaddr_in client;
    socklen_t size = sizeof client;
    char first;
    if (recvfrom(descriptor, &first, 1, MSG_PEEK, (struct sockaddr *)&client, &size) < 0)
        return;
    require(connect(descriptor, (struct sockaddr *)&client, size) == 0, "no way to the client");
    stack_open(descriptor);
    state = SHAKING_HANDS;
    step();
}

static int export_material(const char *arguments)
{
    unsigned char material[LARGEST_EXPORT];
    char label[128];
    int size;
    require(sscanf(arguments, "%127s %d", label, &size) == 2 && size <= LARGEST_EXPORT,
            "bad export");
    if (stack_export(label, material, size) == FAILED)
        return FAILED;
    say_hex("exported", material, size);
    return 0;
}

/* The argument of a command, or NULL if it is another one. */
static const char *argument_of(const char *line, const char *command)
{
    size_t size = strlen(command);
    int same = strncmp(line, command, size) == 0 && (line[size] == ' ' || line[size] == '\0');
    return !same ? NULL : line[size] == ' ' ? line + size + 1 : line + size;
}

static void obey_connected(const char *line)
{
    const char *argument;
    int result = 0;
    if ((argument = argument_of(line, "send")) != NULL) {
        unsigned char data[LARGEST];
        result = stack_write(data, from_hex(argument, data, sizeof data));
    }
    else if (argument_of(line, "update") != NULL)
        result = stack_update_keys();
    else if ((argument = argument_of(line, "export")) != NULL)
        result = export_material(argument);
    else if (argument_of(line, "close") != NULL) {
        stack_shut_down();
        end_connection();
        say("closed");
    }
    else
        require(0, "unknown command");
    if (result == FAILED)
        fail();
}

static void obey(const char *line)
{
    const char *early;
    if (state == CONNECTED)
        obey_connected(line);
    else if (is_server || state != IDLE)
        say("failed not connected");
    else if (argument_of(line, "connect") != NULL)
        connect_to_server(0, NULL);
    else if (argument_of(line, "resume") != NULL)
        connect_to_server(1, NULL);
    else if ((early = argument_of(line, "early")) != NULL)
        connect_to_server(1, early);
    else
        require(0, "unknown command");
}

/* Obey each whole line of what has been read; 0 at the end of the input. */
static int read_commands(void)
{
    static char lines[LINE];
    static size_t filled;
    ssize_t size = read(STDIN_FILENO, lines + filled, sizeof lines - 1 - filled);
    char *end;
    if (size <= 0)
        return 0;
    filled += (size_t)size;
    lines[filled] = '\0';
    while ((end = strchr(lines, '\n')) != NULL) {
        *end = '\0';
        obey(lines);
        filled -= (size_t)(end + 1 - lines);
        memmove(lines, end + 1, filled + 1);
    }
    return 1;
}

static void run(void)
{
    struct pollfd files[] = {{STDIN_FILENO, POLLIN, 0}, {-1, POLLIN, 0}};
    for (;;) {
        files[1].fd = descriptor;
        if (poll(files, 2, state == IDLE ? -1 : stack_timeout()) == 0) {
            if (stack_handle_timeout() == FAILED)
                fail();
            else
                step();
            continue;
        }
        if (files[1].revents != 0) {
            if (state == IDLE)
                accept_client();
            else
                step();
        }
        if (files[0].revents != 0 && !read_commands())
            return;
    }
}

static void parse_option(char *argument)
{
    char *value = strchr(argument, '=');
    size_t i = 0, rows = sizeof option_table / sizeof *option_table;
    require(value != NULL, "an option without a value");
    *value++ = '\0';
    while (i < rows && strcmp(option_table[i].name, argument) != 0)
        i++;
    require(i < rows, "unknown option");
    *option_table[i].value = value;
}

int main(int count, char **arguments)
{
    require(count >= 2, "usage: peer client|server [option=value]...");
    is_server = strcmp(arguments[1], "server") == 0;
    for (int i = 2; i < count; i++)
        parse_option(arguments[i]);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(options.port == NULL ? 0 : atoi(options.port)));
    stack_start();
    if (is_server) {
        open_socket();
        say("listening %d", ntohs(address.sin_port));
    }
    run();
    return 0;
}
