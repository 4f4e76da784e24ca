/* peer.h on BoringSSL. */

#include "peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static SSL_CTX *context;
static SSL *ssl;
/* The latest ticket, and whether one came that was not asked for yet. */
static SSL_SESSION *ticket;
static int ticket_is_new;
static char error[256];

static int has(const char *option, const char *value)
{
    return option != NULL && strcmp(option, value) == 0;
}

/* WAIT, CLOSED or FAILED for a result that is no success. */
static int outcome(int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return CLOSED;
    default:
        ERR_error_string_n(ERR_get_error(), error, sizeof error);
        return FAILED;
    }
}

const char *stack_error(void)
{
    return error;
}

/* ---- set-up ---- */

static void log_secret(const SSL *connection, const char *line)
{
    (void)connection;
    log_key(line);
}

static int keep_ticket(SSL *connection, SSL_SESSION *session)
{
    (void)connection;
    SSL_SESSION_free(ticket);
    ticket = session;
    ticket_is_new = 1;
    return 1;
}

/* The names of `options.alpn`, each after its length; returns the size of all. */
static unsigned int protocols(unsigned char *list, size_t room)
{
    size_t size = strlen(options.alpn) + 1, start = 0;
    require(size <= room, "bad alpn");
    memcpy(list + 1, options.alpn, size - 1);
    for (size_t i = 1; i <= size; i++)
        if (i == size || list[i] == ',') {
            list[start] = (unsigned char)(i - start - 1);
            start = i;
        }
    return (unsigned int)size;
}

static int choose_protocol(SSL *connection, const uint8_t **chosen, uint8_t *chosen_size,
                           const uint8_t *offered, unsigned int offered_size, void *unused)
{
    static unsigned char ours[256];
    int result = SSL_select_next_proto((uint8_t **)chosen, chosen_size, ours,
                                       protocols(ours, sizeof ours), offered, offered_size);
    (void)connection, (void)unused;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_credentials(void)
{
    int verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    if (options.cert != NULL) {
        require(SSL_CTX_use_certificate_chain_file(context, options.cert), "bad cert");
        require(SSL_CTX_use_PrivateKey_file(context, options.key, SSL_FILETYPE_PEM), "bad key");
    }
    if (options.ca != NULL)
        require(SSL_CTX_load_verify_locations(context, options.ca, NULL), "bad ca");
    SSL_CTX_set_verify(context, is_server && options.ca == NULL ? SSL_VERIFY_NONE : verify, NULL);
}

/* Ed25519 and ML-DSA are not among what BoringSSL takes by default. */
static void set_schemes(void)
{
    static const uint16_t schemes[] = {
        SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
        SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519,
        SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PSS_RSAE_SHA384,
        SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_ML_DSA_44,
        SSL_SIGN_ML_DSA_65,              SSL_SIGN_ML_DSA_87,
    };
    size_t count = sizeof schemes / sizeof *schemes;
    require(SSL_CTX_set_verify_algorithm_prefs(context, schemes, count), "bad schemes");
}

void stack_start(void)
{
    uint16_t version = has(options.version, "1.2") ? DTLS1_2_VERSION : DTLS1_3_VERSION;
    context = SSL_CTX_new(DTLS_method());
    require(context != NULL, "no context");
    require(SSL_CTX_set_min_proto_version(context, version) &&
                SSL_CTX_set_max_proto_version(context, version), "bad version");
    require(options.suites == NULL && options.cookie == NULL && options.cid == NULL &&
                options.psk == NULL && options.dhe == NULL && options.early == NULL,
            "not an option of BoringSSL");
    if (options.groups != NULL)
        require(SSL_CTX_set1_groups_list(context, options.groups), "bad groups");
    set_credentials();
    set_schemes();
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_BOTH);
    if (!is_server)
        SSL_CTX_sess_set_new_cb(context, keep_ticket);
    if (options.alpn != NULL && is_server)
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (options.keylog != NULL)
        SSL_CTX_set_keylog_callback(context, log_secret);
}

static void set_client_options(void)
{
    if (has(options.shares, "0"))
        require(SSL_set1_client_key_shares(ssl, NULL, 0), "no way without key shares");
    if (options.name != NULL)
        require(SSL_set_tlsext_host_name(ssl, options.name) && SSL_set1_host(ssl, options.name),
                "bad name");
    if (options.alpn != NULL) {
        unsigned char list[256];
        require(SSL_set_alpn_protos(ssl, list, protocols(list, sizeof list)) == 0, "bad alpn");
    }
}

void stack_open(int socket)
{
    BIO *bio = BIO_new_socket(socket, BIO_NOCLOSE);
    ssl = SSL_new(context);
    require(ssl != NULL && bio != NULL, "no connection");
    SSL_set_bio(ssl, bio, bio);
    if (options.mtu != NULL) {
        SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
        require(SSL_set_mtu(ssl, (unsigned int)atoi(options.mtu)), "bad mtu");
    }
    if (is_server) {
        SSL_set_accept_state(ssl);
        return;
    }
    SSL_set_connect_state(ssl);
    set_client_options();
}

/* ---- one connection ---- */

int stack_resume(const unsigned char *early, int size)
{
    (void)size;
    require(ticket != NULL && SSL_set_session(ssl, ticket), "the ticket cannot be used");
    require(early == NULL, "BoringSSL has no early data in DTLS");
    return 0;
}

int stack_shake_hands(void)
{
    int result = SSL_do_handshake(ssl);
    return result == 1 ? 0 : outcome(result);
}

void stack_agreement(struct agreement *result)
{
    const uint8_t *protocol = NULL;
    unsigned int size = 0;
    result->version = SSL_get_version(ssl);
    result->suite = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
    result->group = SSL_get_group_name(SSL_get_group_id(ssl));
    result->resumed = SSL_session_reused(ssl);
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    snprintf(result->alpn, sizeof result->alpn, "%.*s", (int)size, (const char *)protocol);
}

int stack_has_new_ticket(void)
{
    int is_new = ticket_is_new;
    ticket_is_new = 0;
    return is_new;
}

int stack_read(unsigned char *data, int room)
{
    int size = SSL_read(ssl, data, room);
    return size > 0 ? size : outcome(size);
}

int stack_write(const unsigned char *data, int size)
{
    int result = SSL_write(ssl, data, size);
    return result == size ? 0 : outcome(result);
}

int stack_update_keys(void)
{
    int result = SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
    return result == 1 ? stack_write(NULL, 0) : outcome(result); /* that sends it */
}

int stack_export(const char *label, unsigned char *material, int size)
{
    int result = SSL_export_keying_material(ssl, material, (size_t)size, label, strlen(label),
                                            NULL, 0, 0);
    return result == 1 ? 0 : outcome(result);
}

int stack_timeout(void)
{
    struct timeval left;
    return DTLSv1_get_timeout(ssl, &left)
        ? (int)(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000) : -1;
}

int stack_handle_timeout(void)
{
    int result = DTLSv1_handle_timeout(ssl);
    return result >= 0 || outcome(result) == WAIT ? 0 : FAILED;
}

void stack_shut_down(void)
{
    SSL_shutdown(ssl);
}

void stack_close(void)
{
    SSL_free(ssl);
    ssl = NULL;
}
