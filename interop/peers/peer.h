/* The two halves of a peer: peer.c obeys lines of text, and a file for each stack does what they
 * say with that stack. */

#ifndef INTAGLIO_PEER_H
#define INTAGLIO_PEER_H

enum { LARGEST = 16384 /* bytes of data in a record */, MAX_CID = 255 };

/* The options of the command line; NULL where none is given. */
extern struct options {
    const char *port;    /* a client's server; what a server listens on, by default a free one */
    const char *cert;    /* PEM: own chain */
    const char *key;     /* PEM: own key */
    const char *ca;      /* PEM: the root to trust; with it a server wants a certificate */
    const char *name;    /* the server's name, asked for and verified */
    const char *suites;  /* by the stack's names, separated by colons */
    const char *groups;  /* by name, separated by colons; a client has a key share of the first */
    const char *shares;  /* 0: a client sends no key share */
    const char *cookie;  /* 0: a server sends no HelloRetryRequest for a cookie */
    const char *mtu;     /* in bytes */
    const char *cid;     /* the connection ID to receive, in hex; may be empty */
    const char *psk;     /* IDENTITY:HEX; with one of `suites` */
    const char *dhe;     /* 0: no key exchange beside a PSK */
    const char *alpn;    /* names, separated by commas, preferred first */
    const char *early;   /* how many bytes of early data a server takes */
    const char *keylog;  /* the file for secrets (SSLKEYLOGFILE) */
    const char *version; /* 1.2: DTLS 1.2 only */
} options;
extern int is_server;

/* What a handshake agreed on. */
struct agreement {
    const char *version, *suite, *group;
    int resumed;
    const char *early; /* none, accepted or rejected */
    char alpn[64];
    char cid[2 * MAX_CID + 1]; /* the one that we send with, in hex */
};

/* What is not a success, for the functions that say so. */
enum { WAIT = -1 /* for the network */, FAILED = -2, CLOSED = -3 /* by the other side */ };

/* Once, when the options are known. */
void stack_start(void);
/* A connection on a socket that does not block and is connected to the other side. One at a time. */
void stack_open(int socket);
/* A client offers the latest ticket, which must be there, and sends early data if it is not NULL:
 * before the handshake, which goes on from here. 0 or FAILED. */
int stack_resume(const unsigned char *early, int size);
/* 0 once it is complete, WAIT or FAILED. A server tells of early data. */
int stack_shake_hands(void);
void stack_agreement(struct agreement *result);
/* How many bytes, WAIT, CLOSED or FAILED. */
int stack_read(unsigned char *data, int room);
/* 0 or FAILED, as of each function below. */
int stack_write(const unsigned char *data, int size);
int stack_update_keys(void);
int stack_export(const char *label, unsigned char *material, int size);
/* Whether there came a ticket that was not asked for before. */
int stack_has_new_ticket(void);
/* Milliseconds until stack_handle_timeout() has to be called, or -1. */
int stack_timeout(void);
int stack_handle_timeout(void);
/* Why the last function FAILED. */
const char *stack_error(void);
/* Tell the other side that there is no more data. */
void stack_shut_down(void);
void stack_close(void);

/* For the stacks: */

/* Ends the program unless it holds. */
void require(int holds, const char *what);
/* Prints `what`, and data in hex. */
void say_hex(const char *what, const unsigned char *data, int size);
void to_hex(char *text, const unsigned char *data, int size);
/* How many bytes the hex is. */
int from_hex(const char *text, unsigned char *data, int room);
/* The key log's next line. */
void log_key(const char *line);

#endif
