{# Everything that may be charged for, in the order of the columns: the kinds of tokens, and the operation itself. #}
{% macro priced_kinds() -%}
    {{ return(token_kinds('') | list + ['request']) }}
{%- endmacro %}
