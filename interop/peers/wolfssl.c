/* peer.h on wolfSSL. */

#include "peer.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <wolfssl/ssl.h>
#include <wolfssl/internal.h>

enum { MAX_GROUPS = 8 };

static WOLFSSL_CTX *context;
static WOLFSSL *ssl;
/* The latest ticket, and whether one came that was not asked for yet. */
static WOLFSSL_SESSION *ticket;
static int ticket_is_new;
/* Why the last function failed. */
static char error[256];

static int has(const char *option, const char *value)
{
    return option != NULL && strcmp(option, value) == 0;
}

static void must(int result, const char *what)
{
    require(result == WOLFSSL_SUCCESS, what);
}

/* WAIT or FAILED for a result that is no success. */
static int outcome(int result)
{
    int code = wolfSSL_get_error(ssl, result);
    WOLFSSL_ALERT_HISTORY alerts;
    if (code == WOLFSSL_ERROR_WANT_READ || code == WOLFSSL_ERROR_WANT_WRITE)
        return WAIT;
    wolfSSL_get_alert_history(ssl, &alerts);
    snprintf(error, sizeof error, "%d, %s; received alert %d", code,
             wolfSSL_ERR_reason_error_string((unsigned long)code), alerts.last_rx.code);
    return FAILED;
}

const char *stack_error(void)
{
    return error;
}

/* ---- external PSK ---- */

static unsigned int psk_key(unsigned char *key, unsigned int room)
{
    return (unsigned int)from_hex(strchr(options.psk, ':') + 1, key, (int)room);
}

static unsigned int client_psk(WOLFSSL *connection, const char *hint, char *identity,
                               unsigned int identity_room, unsigned char *key,
                               unsigned int key_room, const char **suite)
{
    (void)connection, (void)hint;
    snprintf(identity, identity_room, "%.*s", (int)strcspn(options.psk, ":"), options.psk);
    *suite = options.suites;
    return psk_key(key, key_room);
}

static unsigned int server_psk(WOLFSSL *connection, const char *identity, unsigned char *key,
                               unsigned int key_room, const char **suite)
{
    size_t size = strcspn(options.psk, ":");
    (void)connection;
    if (strlen(identity) != size || strncmp(identity, options.psk, size) != 0)
        return 0;
    *suite = options.suites;
    return psk_key(key, key_room);
}

/* ---- set-up ---- */

static void log_secret(const WOLFSSL *connection, const char *line)
{
    (void)connection;
    log_key(line);
}

static WOLFSSL_METHOD *method(void)
{
    if (has(options.version, "1.2"))
        return is_server ? wolfDTLSv1_2_server_method() : wolfDTLSv1_2_client_method();
    return is_server ? wolfDTLSv1_3_server_method() : wolfDTLSv1_3_client_method();
}

static void set_credentials(void)
{
    int verify = WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    if (options.cert != NULL) {
        must(wolfSSL_CTX_use_certificate_chain_file(context, options.cert), "bad cert");
        must(wolfSSL_CTX_use_PrivateKey_file(context, options.key, WOLFSSL_FILETYPE_PEM),
             "bad key");
    }
    if (options.ca != NULL)
        must(wolfSSL_CTX_load_verify_locations(context, options.ca, NULL), "bad ca");
    wolfSSL_CTX_set_verify(context, is_server && options.ca == NULL ? 0 : verify, NULL);
    if (has(options.dhe, "0"))
        require(wolfSSL_CTX_no_dhe_psk(context) == 0, "no way without a key exchange");
    if (options.psk != NULL && is_server)
        wolfSSL_CTX_set_psk_server_tls13_callback(context, server_psk);
    else if (options.psk != NULL)
        wolfSSL_CTX_set_psk_client_tls13_callback(context, client_psk);
}

void stack_start(void)
{
    wolfSSL_Init();
    context = wolfSSL_CTX_new(method());
    require(context != NULL, "no context");
    if (options.suites != NULL)
        must(wolfSSL_CTX_set_cipher_list(context, options.suites), "bad suites");
    if (options.groups != NULL)
        must(wolfSSL_CTX_set1_curves_list(context, options.groups), "bad groups");
    set_credentials();
    if (options.early != NULL && is_server)
        wolfSSL_CTX_set_max_early_data(context, (unsigned int)atoi(options.early));
    if (options.keylog != NULL)
        wolfSSL_CTX_set_keylog_callback(context, log_secret);
}

static void set_client_options(void)
{
    if (has(options.shares, "0"))
        must(wolfSSL_NoKeyShares(ssl), "no way without key shares");
    if (options.name != NULL) {
        word16 size = (word16)strlen(options.name);
        must(wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, options.name, size), "bad name");
        must(wolfSSL_check_domain_name(ssl, options.name), "bad name");
    }
}

static void set_extensions(void)
{
    if (options.cid != NULL) {
        unsigned char cid[MAX_CID];
        int size = from_hex(options.cid, cid, sizeof cid);
        must(wolfSSL_dtls_cid_use(ssl), "no connection IDs");
        if (size > 0)
            must(wolfSSL_dtls_cid_set(ssl, cid, (unsigned int)size), "bad cid");
    }
    if (options.alpn != NULL) {
        char names[256];
        snprintf(names, sizeof names, "%s", options.alpn);
        must(wolfSSL_UseALPN(ssl, names, (unsigned int)strlen(names),
                             WOLFSSL_ALPN_FAILED_ON_MISMATCH), "bad alpn");
    }
}

void stack_open(int socket)
{
    struct sockaddr_in other;
    socklen_t size = sizeof other;
    ssl = wolfSSL_new(context);
    require(ssl != NULL, "no connection");
    wolfSSL_dtls_set_using_nonblock(ssl, 1);
    must(wolfSSL_set_fd(ssl, socket), "bad socket");
    require(getpeername(socket, (struct sockaddr *)&other, &size) == 0, "no other side");
    must(wolfSSL_dtls_set_peer(ssl, &other, size), "bad address");
    wolfSSL_KeepArrays(ssl); /* exporters need them */
    if (!is_server)
        set_client_options();
    else if (has(options.cookie, "0"))
        must(wolfSSL_disable_hrr_cookie(ssl), "no way without a cookie");
    if (options.mtu != NULL)
        must(wolfSSL_dtls_set_mtu(ssl, (word16)atoi(options.mtu)), "bad mtu");
    set_extensions();
}

/* ---- one connection ---- */

int stack_resume(const unsigned char *early, int size)
{
    int sent = 0, result;
    /* With a session ID wolfSSL wants its echo, which servers must not send (RFC 9147, 5). */
    ticket->sessionIDSz = 0;
    must(wolfSSL_set_session(ssl, ticket), "the ticket cannot be used");
    if (early == NULL)
        return 0;
    result = wolfSSL_write_early_data(ssl, early, size, &sent);
    return result == size || outcome(result) == WAIT ? 0 : FAILED;
}

/* A server reads early data until the handshake goes on without. */
static void read_early(void)
{
    unsigned char data[LARGEST];
    int size, result;
    do {
        size = 0;
        result = wolfSSL_read_early_data(ssl, data, sizeof data, &size);
        if (size > 0)
            say_hex("early", data, size);
    } while (result > 0 && size > 0);
}

int stack_shake_hands(void)
{
    int result;
    if (is_server && options.early != NULL)
        read_early();
    result = is_server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);
    if (result != WOLFSSL_SUCCESS)
        return outcome(result);
    /* After early data a client takes all data that it receives for more of it. */
    wolfSSL_set_max_early_data(ssl, 1u << 30);
    return 0;
}

static const char *early_status(void)
{
    switch (wolfSSL_get_early_data_status(ssl)) {
    case WOLFSSL_EARLY_DATA_ACCEPTED: return "accepted";
    case WOLFSSL_EARLY_DATA_REJECTED: return "rejected";
    default: return "none";
    }
}

void stack_agreement(struct agreement *result)
{
    char *protocol = NULL;
    unsigned short protocol_size = 0;
    unsigned char cid[MAX_CID];
    unsigned int cid_size = 0;
    result->version = wolfSSL_get_version(ssl);
    result->suite = wolfSSL_get_cipher_name(ssl);
    result->group = wolfSSL_get_curve_name(ssl);
    result->resumed = wolfSSL_session_reused(ssl);
    result->early = early_status();
    if (wolfSSL_ALPN_GetProtocol(ssl, &protocol, &protocol_size) == WOLFSSL_SUCCESS)
        snprintf(result->alpn, sizeof result->alpn, "%.*s", protocol_size, protocol);
    if (wolfSSL_dtls_cid_is_enabled(ssl) &&
        wolfSSL_dtls_cid_get_tx_size(ssl, &cid_size) == WOLFSSL_SUCCESS && cid_size > 0 &&
        wolfSSL_dtls_cid_get_tx(ssl, cid, sizeof cid) == WOLFSSL_SUCCESS)
        to_hex(result->cid, cid, (int)cid_size);
}

static void keep_ticket(void)
{
    WOLFSSL_SESSION *session = wolfSSL_get1_session(ssl);
    if (session == NULL || session == ticket || !wolfSSL_SESSION_has_ticket(session)) {
        wolfSSL_SESSION_free(session);
        return;
    }
    wolfSSL_SESSION_free(ticket);
    ticket = session;
    ticket_is_new = 1;
}

int stack_has_new_ticket(void)
{
    int is_new = ticket_is_new;
    ticket_is_new = 0;
    return is_new;
}

int stack_read(unsigned char *data, int room)
{
    int size = wolfSSL_read(ssl, data, room);
    if (!is_server)
        keep_ticket();
    if (size > 0)
        return size;
    return wolfSSL_get_error(ssl, size) == WOLFSSL_ERROR_ZERO_RETURN ? CLOSED : outcome(size);
}

int stack_write(const unsigned char *data, int size)
{
    int result = wolfSSL_write(ssl, data, size);
    return result == size ? 0 : outcome(result);
}

int stack_update_keys(void)
{
    int result = wolfSSL_update_keys(ssl);
    return result == WOLFSSL_SUCCESS ? 0 : outcome(result);
}

int stack_export(const char *label, unsigned char *material, int size)
{
    int result = wolfSSL_export_keying_material(ssl, material, (size_t)size, label, strlen(label),
                                                NULL, 0, 0);
    return result == WOLFSSL_SUCCESS ? 0 : outcome(result);
}

int stack_timeout(void)
{
    return 1000 * wolfSSL_dtls_get_current_timeout(ssl);
}

int stack_handle_timeout(void)
{
    return wolfSSL_dtls_got_timeout(ssl) == WOLFSSL_SUCCESS ? 0 : outcome(WOLFSSL_FATAL_ERROR);
}

void stack_shut_down(void)
{
    wolfSSL_shutdown(ssl);
}

void stack_close(void)
{
    wolfSSL_free(ssl);
    ssl = NULL;
}
