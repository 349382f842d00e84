{#
    What kind of error an operation ended with, one of a few words, told from its status and its error message; NULL for one
    that is not known to have failed. A case, so that texts are searched of those that failed only; and of the many that succeeded, as
    most apps write it, nothing more is asked.
#}
{% macro error_class(status, error_message) -%}
    {%- set text = "lower('status ' || coalesce(trim(" ~ status ~ "), '') || ' ' || coalesce(" ~ error_message ~ ", ''))" -%}
    case
        when {{ status }} = 'success' then null
        when ({{ is_error_status(status, "coalesce(" ~ error_message ~ ", '') <> ''") }}) is not true then null
        {%- for class, pattern in error_patterns() %}
        when {{ matches(text, pattern) }} then '{{ class }}'
        {%- endfor %}
        else 'other'
    end
{%- endmacro %}
