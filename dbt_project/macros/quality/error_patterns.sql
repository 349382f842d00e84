{#
    The classes of errors and what tells them: pairs of class and pattern, in the order in which they are looked for. First what
    says more than an HTTP status does, then the status, then words. The patterns are of what PostgreSQL and RE2 (DuckDB)
    have in common. `error_class` of docs.md says the same, which a test holds it to.
#}
{% macro error_patterns() -%}
    {%- set code = '(status|code|error|http(/[0-9.]+)?)[^0-9a-z]{0,4}' -%}
    {%- set end = '([^0-9]|$)' -%}
    {{ return([
        ('cancelled', '^status (cancell?ed|aborted|interrupted)|request (was )?(cancell?ed|aborted)'),
        ('content_filter', 'content.?filter|content.?policy|content management policy|responsible.?ai|safety'),
        ('context_length', 'context.?length|context.?window|prompt is too long|string_above_max_length'),
        ('quota', 'insufficient.?quota|current quota|credit balance|billing|payment required'),
        ('cancelled', code ~ '499' ~ end),
        ('quota', code ~ '402' ~ end),
        ('rate_limit', code ~ '429' ~ end),
        ('timeout', code ~ '(408|504|524)' ~ end),
        ('overloaded', code ~ '(503|529)' ~ end),
        ('authentication', code ~ '(401|403)' ~ end),
        ('invalid_request', code ~ '4[0-9][0-9]' ~ end),
        ('server_error', code ~ '5[0-9][0-9]' ~ end),
        ('rate_limit', 'rate.?limit|too many (requests|tokens)|throttl|resource.?(has been )?exhausted'),
        ('timeout', 'time.?out|timed.?out|deadline'),
        ('overloaded', 'overloaded|unavailable|capacity'),
        ('authentication', 'api.?key|unauthori|authenticat|forbidden|(permission|access).?denied|credential'),
        ('connection', 'connect|network|unreachable|name resolution|broken pipe|ssl'),
        ('invalid_request', 'invalid|bad.?request|validation|not.?found|not exist|unknown|unsupported|malformed'),
        ('server_error', 'server.?error|internal.?error|bad gateway'),
    ]) }}
{%- endmacro %}
