{#
    One text key (md5) for a grain of several columns, the same on every engine. Each value is written behind its length and
    NULL as a dash, so no two rows share a key: NULL is not '', and ('a', 'bc') is not ('ab', 'c').
#}
{% macro surrogate_key(columns) -%}
    md5(
        {%- for column in columns %}
        coalesce(length(cast({{ column }} as varchar)) || ':' || cast({{ column }} as varchar), '-')
        {%- if not loop.last %} || {% endif %}
        {%- endfor %}
    )
{%- endmacro %}
