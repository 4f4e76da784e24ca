/* What wolfSSL 5.5.4 is built with: the settings that its `configure` would make of the options
 * named here. Compiled without `configure`, it needs a C compiler and nothing else. */

#ifndef INTAGLIO_USER_SETTINGS_H
#define INTAGLIO_USER_SETTINGS_H

/* The platform: POSIX threads and sockets, 64 bits, constant-time arithmetic of any size. */
#define WOLFSSL_SP_MATH_ALL
#define SP_INT_BITS 8192
#define TFM_TIMING_RESISTANT
#define ECC_TIMING_RESISTANT
#define WC_RSA_BLINDING
#define _POSIX_THREADS
#define HAVE_WC_INTROSPECTION
#define SIZEOF_LONG 8
#define SIZEOF_LONG_LONG 8

/* wolfSSL takes this name, which <endian.h> defines everywhere, for a property of the machine, and
 * then turns the record-number mask of ChaCha20 around. */
#include <endian.h>
#undef BIG_ENDIAN

/* --enable-tls13 --enable-dtls --enable-dtls13 --enable-dtls-mtu --enable-dtlscid
 * --enable-hrrcookie */
#define WOLFSSL_TLS13
#define WOLFSSL_DTLS
#define WOLFSSL_DTLS13
#define WOLFSSL_W64_WRAPPER
#define WOLFSSL_DTLS_MTU
#define WOLFSSL_DTLS_CID
#define DTLS_CID_MAX_SIZE 20 /* of its own, in bytes; 2 by default */
#define WOLFSSL_SEND_HRR_COOKIE

/* --enable-session-ticket --enable-earlydata --enable-psk (which `configure` turns off by
 * defining NO_PSK). */
#define HAVE_SESSION_TICKET
#define WOLFSSL_EARLY_DATA

/* --enable-sni --enable-alpn --enable-supportedcurves and what TLS 1.3 needs of extensions. */
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER
#define HAVE_ENCRYPT_THEN_MAC
#define HAVE_SNI
#define HAVE_ALPN

/* --enable-aesccm --enable-chacha --enable-hkdf --enable-rsapss, SHA-384 and SHA-512. */
#define HAVE_AESGCM
#define HAVE_AESCCM
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_HKDF
#define WC_RSA_PSS
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512

/* --enable-curve25519 --enable-ed25519 --enable-eccustcurves=all: P-256, P-384 and P-521. */
#define HAVE_ECC
#define ECC_SHAMIR
#define ECC_USER_CURVES
#define HAVE_ECC384
#define HAVE_ECC521
#define HAVE_CURVE25519
#define HAVE_ED25519

/* --enable-opensslextra --enable-keying-material: names of curves, the key log, exporters. */
#define OPENSSL_EXTRA
#define HAVE_SECRET_CALLBACK
#define HAVE_KEYING_MATERIAL
#define KEEP_PEER_CERT
#define WOLFSSL_BASE64_ENCODE

/* Nothing here uses these. */
#define NO_DH
#define NO_DSA
#define NO_MD4
#define NO_RC4
#define NO_DES3
#define NO_OLD_TLS

#endif
