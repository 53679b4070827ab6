"""The words of the protocols themselves: what stays where free text is replaced.

Knows: the words of commands, responses, capabilities and MIME, and those servers use to say what happened. Must not
know: where they stand. It is a list of what is known to be harmless: every other word is replaced. A person's name
that is also such a word stays where only free text holds it.
"""

from __future__ import annotations

_COMMANDS = """
    append apop auth authenticate bdat binarymime body burl bye capa capability check checkscript close compress
    copy create data deflate dele delete deleteacl deletescript done ehlo enable etrn examine expn expunge fetch
    genurlauth getacl getmetadata getquota getquotaroot getscript havespace helo help id idle last lhlo list
    listrights listscripts login logout lsub mail move myrights namespace no noop notify ok pass preauth putscript
    qresync quit rcpt rename renamescript resetkey retr rset search select setacl setactive setmetadata setquota
    sort stat starttls status stls store subscribe thread to top uid uidl unauthenticate unselect unsubscribe
    urlfetch user vrfy xclient xforward xlist
"""
_ITEMS = """
    all answered appenduid appendlimit alert alreadyexists authenticationfailed authorizationfailed bad badcharset
    badurl bcc before binary bodystructure cannot cc changedsince charset children clientbug closed condstore
    contactadmin copyuid corruption count deleted draft drafts emailid envelope err esearch exists expired
    expungeissued fields flag flagged flags from fuzzy haschildren hasnochildren header highestmodseq inbox
    internaldate inuse keyword larger limit literal mailbox max messages metadata mime min modified modseq new
    noinferiors noperm noprivate noselect nonexistent not nonjunk junk old older on or overquota parse partial peek
    permanentflags preview privacyrequired quota quotaroot read readonly readwrite recent recursivematch references
    referral remote return rev1 rev2 rfc822 save saved savedate searchres seen selected sent sentbefore senton
    sentsince serverbug silent since size smaller special subject subscribed tag text threadid trash try trycreate
    unavailable unanswered undeleted undraft unflagged uidnext uidnotsticky uidvalidity unchangedsince unkeyword
    unknown unseen unsubscribed use utf7 utf8 utf within write younger nil storage message annotation changes none
    vanished earlier url catenate spam archive important
"""
_CAPABILITIES = """
    forwarded mdnsent notjunk phishing submitpending submitted label1 label2 label3 label4 label5 hasattachment
    hasnoattachment marked unmarked memos scheduled snoozed noinferiors noselect nonexistent
    xrcptforward 8bitmime acl anonymous base64 catenate chunking context cram create defer deliverby digest dsn
    enhancedstatuscodes esort etag expire external forward future futurerelease gs2 gssapi id imap imap4 imap4rev1
    imap4rev2 implementation inprogress ir join jmapaccess listext login loginreferrals logindisabled lmtp lmtputf8
    md5 mechanism messagelimit multiappend multisearch mtrk ntlm oauth oauthbearer objectid orderedsubject otp
    pipelining plain plus proto pop3 rename replace resp respcodes rights sasl scram sha sha1 sha256 sha384 sha512
    sieve smtp smtputf8 esmtp esmtps esmtpsa smtps snippet special srp stls submission timeout ttl turn
    unauthenticate ulist uidbatches uidonly uidplus urlauth vrt xoauth2 xoauth xexec xcmd addr name helo port
    session proxy destaddr destport local maxredirects version owner language lang managesieve extlists notify size
    fileinto reject envelope encoded character vacation subaddress comparator numeric ascii casemap octet relational
    regex imap4flags copy include variables body enotify environment mailbox date index ihave duplicate mime
    foreverypart extracttext editheader ereject spamtest spamtestplus virustest seconds mboxmetadata servermetadata
    keep discard stop redirect require if elsif else anyof allof true false exists contains matches is over under
    address header set addflag setflag removeflag hasflag days addresses handle fcc count value user detail
    localpart domain mailto delay release until notary envid orcpt rfc822 never success failure ret full hdrs by mt
    priority requiretls holdfor holduntil bounce solicit conperm conneg eightbitmime starttls ready filter referrals
    display refs extended i18nlevel inthread mailfrom listid mboxes unlimited uids predicted clear
"""
_MAIL = """
    7bit 8bit quoted printable attachment inline mixed alternative related report signed encrypted digest parallel
    form multipart text html plain application image audio video font model octet stream utf iso us ascii windows
    koi8 gb2312 big5 format flowed fixed delsp yes boundary mon tue wed thu fri sat sun jan feb mar apr may jun jul
    aug sep oct nov dec gmt utc ut est edt cst cdt mst mdt pst pdt cet cest bst eet eest with for via tls tlsv1
    tlsv1.2 tlsv1.3 ssl aes gcm cbc chacha20 poly1305 ecdhe dhe rsa ecdsa ecdh cipher bits verified
"""
_SENTENCES = """
    a about accepted access account active address after again allowed already an and any are argument arguments as
    at authentication available base be been begin busy but bytes cached can canceled cancelled cannot capabilities
    changed client closing code command commands completed connection connecting connect contains continue could
    creating current currently daemon delivered denied directory disabled disconnected disconnecting disk does dot
    dovecot down due end enabled entire error errors exceeded exceeding exist expected failed failure few first
    follow follows for full get go goodbye greetings had has have hello here hit host if illegal in inactivity
    including incorrect input inserted internal into invalid is it its kbytes key later left length limit line link
    load lock locked logged logging logs long longer lost maildrop many match matching maximum me message method
    missing mode more moved much must my needed newline next no nonexistent nothing now occurred of off only opened
    operation options or other out over part password permanent permission permitted please pleased policy possible
    postfix present problem processing protocol queued queueing ready reason received recipient recipients refused
    rejected relay remaining removed renamed reply request required requested requires reset response result results
    retry same scripts seconds secs secure see selected sender sending sent server service session shutting sorry
    space specified started starting state still stored successful successfully syntax system take takes temporarily
    temporary than that the there this time timed times too transaction transfer transmission try ubuntu debian
    unable unexpected unimplemented unsupported up upgrade users valid value waiting warning was welcome were while
    will with within without wrong you your octets msgs pigeonhole cyrus exim courier stalwart james greenmail
    begins tagged untagged greeting pop signing plaintext disallowed script listscripts putscript oversize
    undelivered torn damaged compressed data recorded rest inflated reached closed idle drain peer abort aborted
    lines predicted ids uids highest modseq messages recent exists unseen
"""

VOCABULARY = frozenset(
    word.encode() for words in (_COMMANDS, _ITEMS, _CAPABILITIES, _MAIL, _SENTENCES) for word in words.split()
)
"""In lower case; runs of letters and digits, as free text is cut."""

MIME_TYPES = frozenset(b"text image audio video application message multipart font model".split())
"""Behind one of these, in BODYSTRUCTURE, comes the subtype."""

MIME_WORDS = MIME_TYPES | frozenset(
    b"plain html mixed alternative related signed encrypted report digest parallel form-data rfc822 "
    b"delivery-status  calendar octet-stream pdf zip jpeg png gif pgp-signature pgp-encrypted "
    b"pkcs7-signature pkcs7-mime 7bit 8bit binary  base64 quoted-printable attachment inline boundary "
    b"charset format flowed fixed delsp yes no name filename size micalg  protocol report-type "
    b"creation-date modification-date read-date method us-ascii utf-8 iso-8859-1".split()
)
"""Strings of a BODYSTRUCTURE that are MIME's own."""

MIME_PARAMETERS = frozenset(b"boundary charset format delsp micalg protocol report-type method size".split())
"""Parameters whose values stay, because the structure of a message hangs on them."""

ID_FIELDS = frozenset(
    b"name version os os-version vendor support-url address date command arguments environment".split()
)
"""Fields of IMAP's ID (RFC 2971 3.3)."""

ID_SHOWN = frozenset(b"name version os os-version vendor".split())
"""Those whose values stay: which program it is."""
