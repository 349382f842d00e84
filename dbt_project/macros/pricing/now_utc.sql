{# When the build looks at today's prices, as a naive UTC timestamp. #}
{% macro now_utc() -%}
    timezone('UTC', now())
{%- endmacro %}
