{#
    What `dbt build` and `dbt test` end with: if every test that reads the ledger ran and passed, its days are checked. After
    a failure, an interruption or a selection that left one out they are not, and the next tests look at them again.
#}
{% macro check_off_days() -%}
    {%- set ledger = ref('int_operation_days') -%}
    {%- if execute -%}
        {%- set passed = results | selectattr('status', 'in', ['pass', 'warn']) | map(attribute='node.unique_id') | list -%}
        {%- set missing = [] -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'test' and node.unique_id not in passed -%}
            {%- if 'model.llmops_warehouse.int_operation_days' in node.depends_on.nodes -%}
                {%- do missing.append(node.unique_id) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if not missing %}
    begin;
    update {{ ledger }} set is_checked = true where not is_checked;
    commit;
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
