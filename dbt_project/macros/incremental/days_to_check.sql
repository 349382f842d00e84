{#
    The days that tests of all operations have to look at: those of the ledger that changed after all such tests passed
    last, so that what was right before and has not changed is not proved again. None, which means every day, in a full
    refresh and as long as nothing has been checked.
#}
{% macro days_to_check() -%}
    {%- set ledger = ref('int_operation_days') -%}
    {%- if execute and not flags.FULL_REFRESH and load_relation(ledger) is not none -%}
        {%- set days = run_query('select operation_date, is_checked from ' ~ ledger).rows -%}
        {%- set unchecked = days | rejectattr('is_checked') | map(attribute='operation_date') | list -%}
        {%- if unchecked | length < days | length -%}
            {{ return(unchecked) }}
        {%- endif -%}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
