{#
    The query of a test, whose first column says in words what is wrong. While tests run the words are printed as well,
    since of a failed test dbt tells only how many rows it found.
#}
{% macro telling(query) -%}
    {%- if execute and flags.WHICH in ['build', 'test'] -%}
        {%- for row in run_query(query).rows -%}
            {%- if loop.index <= 20 -%}
                {%- do print(row[0]) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(query) }}
{%- endmacro %}
