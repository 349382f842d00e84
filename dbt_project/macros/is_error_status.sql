{#
    Whether an operation failed: true, false, or NULL where nothing recorded says so.
    Words of success (any case) and HTTP 2xx are no error. No status, or OpenTelemetry's "unset", leaves it to the error
    message: with one it is an error, without one it is unknown. Every other status is an error, so that a word nobody
    thought of shows up as a failure to look at, not as a success.
#}
{% macro is_error_status(status, has_error_message) -%}
    {%- set success_words = ['success', 'succeeded', 'successful', 'ok', 'complete', 'completed'] -%}
    case lower(trim(coalesce({{ status }}, '')))
        when '' then nullif({{ has_error_message }}, false)
        when 'unset' then nullif({{ has_error_message }}, false)
        {%- for word in success_words %}
        when '{{ word }}' then false
        {%- endfor %}
        else trim({{ status }}) not like '2__'
    end
{%- endmacro %}
