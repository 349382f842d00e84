{#
    The relation of a seed; before the first `dbt seed` one with its columns and no rows, so that `dbt run` alone works on a new
    warehouse, as where there is no such seed.
#}
{% macro seeded(name) -%}
    {%- set relation = ref(name) -%}
    {%- if not execute or relation.is_cte or load_relation(relation) -%}
        {{ relation }}
    {%- else -%}
        {%- set types = (graph.nodes.values() | selectattr('resource_type', 'equalto', 'seed')
            | selectattr('name', 'equalto', name) | first).config.column_types -%}
        (select {% for column, type in types.items() %}cast(null as {{ type }}) as {{ column }}{{ ', ' if not loop.last }}{% endfor %} where false)
    {%- endif -%}
{%- endmacro %}
